"""T04: whatever a hand in the database changes, verification finds, and no other value is served.

Every column of every table, for some rows of each, is changed beside the running server, looked at, and put back."""

import collections
import contextlib
import json
import os
import random
import re
import sqlite3
import sys
import unittest

from scoped_harness import ScopedTestCase

# Rows of each table that are changed: the first ones and the last.
ROWS = 4
CHANGES = 600
SEED = int(os.environ.get("COFFER_SEED") or random.randrange(1 << 31))
# What a reading may show: values, and envelopes by their ciphertext.
VALUES = re.compile(rb'value-[a-z0-9-]+|"ciphertext":"[^"]+"')


def quoted(names):
    return ", ".join(names)


def variants(value, others):
    """What somebody may put in the place of a value; the values of other rows too."""
    found = [other for other in others if other != value][:1]
    if isinstance(value, int):
        found += [value - 1 if value > 1 << 62 else value + 1, 0, None]
    elif isinstance(value, str):
        found += [value + "x", "", None]
    elif isinstance(value, bytes):
        found += [value[:-1] + bytes([value[-1] ^ 1]) if value else b"x", b""]
    else:
        found += [1, "x", b"x"]
    return [changed for changed in found if changed != value or type(changed) is not type(value)]


class Database:
    """The file of a running server, opened by somebody else."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        # What the schema refuses by itself stays refused; foreign keys are checked by those only who ask for it.
        self.tables = [name for (name,) in self.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]

    def columns(self, table):
        return [row[1] for row in self.connection.execute("PRAGMA table_info(%s)" % table)]

    def key(self, table):
        rows = [(row[5], row[1]) for row in self.connection.execute("PRAGMA table_info(%s)" % table) if row[5]]
        return [name for _, name in sorted(rows)]

    def rows(self, table):
        found = self.connection.execute("SELECT * FROM %s ORDER BY %s" % (table, quoted(self.key(table)))).fetchall()
        rows = [dict(zip(self.columns(table), row)) for row in found]
        return rows if len(rows) <= ROWS else rows[: ROWS // 2] + rows[-(ROWS // 2) :]

    def row(self, table, like):
        """The row with the key of `like` as it is now."""
        key = self.key(table)
        found = self.connection.execute(
            "SELECT * FROM %s WHERE %s" % (table, " AND ".join("%s IS ?" % name for name in key)), [like[name] for name in key])
        return dict(zip(self.columns(table), found.fetchone()))

    def put(self, table, row, changed):
        """`row` becomes `changed`; whether the schema lets it."""
        key = self.key(table)
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            gone = self.connection.execute(
                "DELETE FROM %s WHERE %s" % (table, " AND ".join("%s IS ?" % name for name in key)), [row[name] for name in key])
            assert gone.rowcount == 1, (table, key)
            self.connection.execute(
                "INSERT INTO %s (%s) VALUES (%s)" % (table, quoted(changed), quoted("?" * len(changed))), list(changed.values()))
            self.connection.execute("COMMIT")
            return True
        except (sqlite3.IntegrityError, sqlite3.OperationalError):
            self.connection.execute("ROLLBACK")
            return False


class ChangedRowTests(ScopedTestCase):
    def fill(self):
        """A row of each kind at least, in each table."""
        coffer = self.use_fresh(options=self.options)
        for number in range(3):
            self.ask("PUT", "/api/settings/secrets", {"name": "S%d" % number, "value": "value-%d" % number, "description": "d"})
        self.ask("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "value-of-settings"}}})
        for name in ("one", "two"):
            self.ask("POST", "/api/profiles/" + name, {"llm": {"model": "m-" + name, "api_key": "value-of-" + name}})
        coffer.create_key("lookup")
        coffer.command("canary", "mark", "S0", "--dir", coffer.folder)
        self.ask("GET", "/api/settings/secrets/S0")
        second = self.operator("POST", "/tenants", {"name": "second"}, status=201)["id"]
        made = coffer.command("key", "create", "--dir", coffer.folder, "--tenant", second, "--level", "backend", "--json").stdout
        self.other = coffer.client(json.loads(made)["key"])
        self.addCleanup(self.other.close)
        self.other("PATCH", "/api/settings", {"misc_settings_diff": {"number": 0}})
        self.ticking = self.team("tick")
        team, agent = self.team(), self.agent()
        self.project(team=team)
        self.join(agent, "team", team, "writer")
        agent.call("PUT", agent.path("s"), {
            "secretName": "n", "tags": ["t"], "fields": [{"key": "p", "sensitivity": "plaintext", "value": "value-of-p"}]},
            headers=[("Idempotency-Key", "once")])  # fmt: skip
        for number in range(8):
            agent.call("PUT", agent.path("s/fields/q"), {"sensitivity": "plaintext", "value": "value-of-q-%d" % number})
        for value in (b"one", b"two"):
            agent.store("s", "f", value)
        agent.call("DELETE", agent.path("s/fields/p"))
        agent.call("PUT", agent.path("gone"), {})
        agent.call("DELETE", agent.path("gone"))
        self.operator("POST", self.below("invites"), {
            "label": "l", "memberships": [{"scope": "team", "scopeId": team, "role": "reader"}], "maxUses": 2}, status=201)  # fmt: skip
        child = agent.call("POST", "/agent/identity/tokens", {"name": "c", "ttlSeconds": 3600, "maxUses": 9})["token"]
        agent.ask("GET", agent.path("s"), headers=[("Authorization", "Bearer " + child)])
        for _ in range(1100):
            agent.call("GET", agent.path("s/fields/q"))
        self.reads = [
            (self.ask, "/api/settings", {"X-Expose-Secrets": "plaintext"}), (self.ask, "/api/settings/secrets/S1", {}),
            (self.ask, "/api/profiles/one", {"X-Expose-Secrets": "plaintext"}), (agent.ask, agent.path("s/fields/q"), {}),
            (agent.ask, agent.path("s/fields/f"), {}),
        ]  # fmt: skip
        return coffer

    def served(self):
        """The values in what each reading answers; none in a refusal."""
        answers = [ask("GET", target, headers=list(headers.items())) for ask, target, headers in self.reads]
        return [set(VALUES.findall(answer.body)) for answer in answers]

    def forget(self, number):
        """A commit of each kind: the threads believe nothing that they remember."""
        self.other("PATCH", "/api/settings", {"misc_settings_diff": {"number": number}})
        self.operator("PATCH", self.below("teams/" + self.ticking), {"name": "tick %d" % number})

    def findings(self):
        result = self.coffer.command("verify", "--dir", self.coffer.folder, "--json", check=False)
        self.assertIn(result.returncode, (0, 1), result.stderr)
        return json.loads(result.stdout)["findings"]

    def test_every_column_of_every_table(self):
        coffer = self.fill()
        self.assertEqual(self.findings(), [])
        true = self.served()
        self.assertNotIn(set(), true)
        database = Database(coffer.folder + "/store/coffer.db")
        self.addCleanup(database.connection.close)
        silent, wrong = collections.Counter(), collections.Counter()
        changes = refused = 0
        for table in database.tables:
            rows = database.rows(table)
            self.assertTrue(rows, table)
            for column in database.columns(table):
                for sample in rows:
                    for value in variants(sample[column], [other[column] for other in rows]):
                        self.forget(changes)
                        row = database.row(table, sample)
                        changed = {**row, column: value}
                        if not database.put(table, row, changed):
                            refused += 1
                            continue
                        changes += 1
                        # A reading adds to the audit chain and notes the use of a key: neither must go on from what is changed.
                        if table not in ("audit", "audit_runs", "key_uses"):
                            for (_, target, _), answer, before in zip(self.reads, self.served(), true):
                                if not answer <= before:
                                    wrong[table + "." + column + " " + target] += 1
                        if not self.findings():
                            silent[table + "." + column] += 1
                        self.assertTrue(database.put(table, changed, row))
        print("\nT04 reached: %d changes, %d more refused by the schema" % (changes, refused), file=sys.stderr)
        self.assertEqual(self.findings(), [])
        self.assertEqual(dict(wrong), {})
        self.assertEqual(dict(silent), {})

    def test_a_kept_answer_that_was_changed_is_not_given_out(self):
        coffer = self.use_fresh()
        agent = self.agent()
        once = [("Idempotency-Key", "once")]
        made = agent.ask("PUT", agent.path("s"), {"secretName": "n"}, headers=once)
        self.assertEqual(agent.ask("PUT", agent.path("s"), {"secretName": "n"}, headers=once).body, made.body)
        with contextlib.closing(sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)) as database:
            changed = made.body.replace(b'"n"', b'"m"')
            self.assertEqual(database.execute("UPDATE idempotency SET body = ?", (changed,)).rowcount, 1)
        answer = agent.ask("PUT", agent.path("s"), {"secretName": "n"}, headers=once)
        self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"))

    def test_an_older_row_of_the_structure_is_found(self):
        """Its MAC is good: the audit chain tells that it is not the newest, or should be gone."""
        coffer = self.use_fresh()
        agent, team = self.agent(), self.team()
        self.join(agent, "team", team, "manager")
        project = self.project(team=team)
        invite = self.operator("POST", self.below("invites"), {
            "label": "l", "memberships": [{"scope": "team", "scopeId": team, "role": "reader"}], "maxUses": 2}, status=201)  # fmt: skip
        database = Database(coffer.folder + "/store/coffer.db")
        self.addCleanup(database.connection.close)
        old = {table: database.rows(table)[0] for table in ("agents", "memberships", "teams", "projects", "invites")}
        member = self.below("agents/%s/memberships/team/%s" % (agent.id, team))
        self.operator("PUT", member, {"role": "observer"})
        self.operator("POST", self.below("agents/%s/disable" % agent.id))
        self.operator("PATCH", self.below("teams/" + team), {"name": "renamed"})
        self.operator("PATCH", self.below("projects/" + project), {"teamId": None})
        self.operator("DELETE", self.below("invites/" + invite["id"]))
        self.assertEqual(self.findings(), [])
        for table, row in old.items():
            now = database.row(table, row)
            self.assertTrue(database.put(table, now, row))
            found = [(one["place"].split("/")[0], one["problem"]) for one in self.findings()]
            self.assertEqual(found, [(table, "not_the_newest")])
            self.assertTrue(database.put(table, row, now))
        self.operator("DELETE", member)
        self.operator("DELETE", self.below("projects/" + project))
        self.assertEqual(self.findings(), [])
        for table in ("memberships", "projects"):
            columns = quoted(old[table])
            values = list(old[table].values())
            database.connection.execute("INSERT INTO %s (%s) VALUES (%s)" % (table, columns, quoted("?" * len(values))), values)
        problems = {(one["place"].split("/")[0], one["problem"]) for one in self.findings()}
        self.assertEqual(problems, {("memberships", "deleted_before"), ("projects", "deleted_before")})
        for table in ("memberships", "projects", "teams"):
            database.connection.execute("DELETE FROM " + table)
        self.assertEqual([(one["place"], one["problem"]) for one in self.findings()], [("teams/" + team, "missing")])

    def test_what_coffer_does_itself_is_sound(self):
        """Random changes, refused ones among them: verification finds nothing."""
        self.use_fresh()
        chance = random.Random(SEED)
        print("COFFER_SEED=%d" % SEED, file=sys.stderr)
        agents, teams = [self.agent("a%d" % number) for number in range(3)], [self.team("t%d" % number) for number in range(3)]
        projects = [self.project("p%d" % number, team=teams[number]) for number in range(3)]
        for agent in agents:
            for team in teams:
                self.join(agent, "team", team, "manager")
        done = 0
        for number in range(CHANGES):
            agent, team, project = chance.choice(agents), chance.choice(teams), chance.choice(projects)
            place = chance.choice([{}, {"scope": "team", "scope_id": team}, {"scope": "project", "scope_id": project}])
            secret, field = agent.path(chance.choice("xyz"), **place), chance.choice("fgh")
            plain = {"sensitivity": "plaintext", "value": "value %d" % number}
            version = chance.randrange(1, 5)
            member = self.below("agents/%s/memberships/%s/%s" % (agent.id, *chance.choice([("team", team), ("project", project)])))
            by_agent = [
                ("PUT", secret, {"fields": [{"key": key, **plain} for key in chance.sample("fgh", 2)]}),
                ("PUT", secret + "/fields/" + field, plain), ("PUT", secret + "/fields/" + field, plain),
                ("PATCH", secret, {"secretName": "n%d" % number}), ("DELETE", secret + "/fields/" + field, None), ("DELETE", secret, None),
                ("POST", secret + "/fields/%s/rollback" % field, {"fieldVersion": version}),
            ]  # fmt: skip
            deleted = "/secrets/%s/%s" % ("/".join(secret.split("/")[3:5]), secret.split("/")[5])
            by_operator = [
                ("PUT", member, {"role": chance.choice(("reader", "writer", *["manager"] * 4))}), ("DELETE", member, None),
                ("PATCH", self.below("teams/" + team), {"name": "t%d" % number}),
                ("PATCH", self.below("projects/" + project), {"teamId": chance.choice([team, None])}),
                ("POST", self.below("agents/%s/%s" % (agent.id, chance.choice(("disable", *["enable"] * 5)))), None),
                ("POST", self.below(deleted[1:] + "/restore"), None),
                ("POST", self.below(deleted[1:] + "/purge?confirm=" + secret.split("/")[5]), None),
            ]  # fmt: skip
            if chance.random() < 0.7:
                answer = agent.ask(*chance.choice(by_agent), headers=chance.choice(([("If-Match", "*")], ())))
            else:
                method, target, body = chance.choice(by_operator)
                answer = self.ask(method, "/admin/v1" + target, body, headers=self.headers, key=None)
            self.assertLess(answer.status, 500)
            done += answer.status < 300
            if number % 50 == 49:
                self.assertEqual(self.findings(), [])
        self.assertGreater(done, CHANGES // 6)
        for team in teams:
            self.operator("DELETE", self.below("teams/%s?cascade=true" % team))
        self.assertEqual(self.findings(), [])

    def test_an_older_field_is_found(self):
        """A secret names the newest version of each of its fields: an earlier one is not read in its place. The chain knows both."""
        coffer = self.use_fresh()
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {"fields": [{"key": key, "sensitivity": "plaintext", "value": "one"} for key in "abc"]})
        database = Database(coffer.folder + "/store/coffer.db")
        self.addCleanup(database.connection.close)
        old = {row["field_key"]: row for row in database.rows("fields")}
        agent.call("PUT", agent.path("s/fields/a"), {"sensitivity": "plaintext", "value": "two"})
        agent.call("DELETE", agent.path("s/fields/b"))
        self.assertEqual(self.findings(), [])
        self.assertTrue(database.put("fields", database.row("fields", old["b"]), old["b"]))
        database.connection.execute("DELETE FROM fields WHERE field_key = 'a' AND version = 2 OR field_key = 'c'")

        def problems():
            return {(one["place"].rsplit("/", 1)[1], one["problem"]) for one in self.findings()}

        wrong = {("a", "not_the_newest"), ("b", "not_the_newest"), ("c", "missing")}
        self.assertEqual(problems(), wrong)
        for refused in ("s", "s/fields/a", "s/fields/a?version=1", "s/fields/a/versions", "s/fields/c"):
            answer = agent.ask("GET", agent.path(refused))
            self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"), refused)
        self.assertEqual(agent.ask("PUT", agent.path("s/fields/a"), {"sensitivity": "plaintext", "value": "three"}).status, 503)
        # Nor with the head of then, which has no field key: the chain knows better.
        self.assertTrue(database.put("fields", database.row("fields", old[""]), old[""]))
        self.assertEqual(problems(), wrong | {("s", "not_the_newest")})

    def test_rows_that_read_as_one_are_findings(self):
        """Two keys of bytes that are no text, which read the same: verification is not ended by them."""
        coffer = self.use_fresh()
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "f", "sensitivity": "plaintext", "value": "value"}]})
        database = Database(coffer.folder + "/store/coffer.db")
        self.addCleanup(database.connection.close)
        for key in ("x'ff'", "x'fe'"):
            row = next(row for row in database.rows("fields") if row["field_key"] == "f")
            columns = [name for name in row if name != "field_key"]
            database.connection.execute(
                "INSERT INTO fields (field_key, %s) VALUES (CAST(%s AS TEXT), %s)" % (quoted(columns), key, quoted("?" * len(columns))),
                [row[name] for name in columns])  # fmt: skip
            database.connection.text_factory = lambda text: text.decode(errors="replace")
        found = {one["problem"] for one in self.findings()}
        self.assertEqual(found, {"changed", "not_the_newest"})
        self.assertEqual(agent.ask("GET", agent.path("s")).status, 503)
        self.assertEqual(agent.ask("GET", agent.path("s/fields/f")).status, 200)

    def test_what_is_left_of_a_removed_field_is_no_damage(self):
        coffer = self.use_fresh()
        agent = self.agent()

        def put(key):
            agent.call("PUT", agent.path("s/fields/" + key), {"sensitivity": "plaintext", "value": "value"})

        agent.call("PUT", agent.path("s"), {"fields": [{"key": "gone", "sensitivity": "plaintext", "value": "value"}]})
        self.operator("PATCH", self.below("settings"), {"deletionWindowDays": 0})
        agent.call("DELETE", agent.path("s/fields/gone"))
        self.assertEqual(self.findings(), [])
        # The next new field destroys what the removed one held.
        put("other")
        self.assertEqual(self.findings(), [])
        with contextlib.closing(sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)) as database:
            self.assertEqual(database.execute("UPDATE fields SET sealed = x'00' WHERE field_key = 'gone'").rowcount, 1)
        self.assertEqual([(one["place"].rsplit("/", 2)[1], one["problem"]) for one in self.findings()], [("gone", "changed")])
        put("gone")
        self.assertEqual(self.findings(), [])
        self.assertEqual(agent.call("GET", agent.path("s/fields/gone"))["fieldVersion"], 2)

    def test_uses_of_a_token_do_not_come_back(self):
        coffer = self.use_fresh()
        agent = self.agent()
        tokens = [agent.call("POST", "/agent/identity/tokens", {"name": "t", "ttlSeconds": 60, "maxUses": 3}) for _ in range(2)]

        def ask(token):
            return agent.client("GET", "/agent/identity/whoami", headers=[("Authorization", "Bearer " + token["token"])]).status

        self.assertEqual([ask(token) for token in tokens for _ in range(2)], [200] * 4)
        with contextlib.closing(sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)) as database:
            for change, token in (("UPDATE key_uses SET uses = 0", tokens[0]), ("DELETE FROM key_uses", tokens[1])):
                self.assertEqual(database.execute(change + " WHERE id = ?", (token["tokenId"].removeprefix("key_"),)).rowcount, 1)
        coffer.stop()
        coffer.up()
        agent.client.close()
        self.assertEqual([ask(token) for token in tokens for _ in range(5)], [503] * 5 + [401] * 5)


if __name__ == "__main__":
    unittest.main()
