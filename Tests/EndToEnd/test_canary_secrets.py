"""Canary secrets: whoever reads one is told of in the log, the figures, the audit chain and the doctor's findings; readers see nothing."""

import json
import os
import sqlite3
import time
import unittest

from coffer_harness import CofferTestCase, tomorrow
from contract_harness import Operator
from scoped_harness import ScopedTestCase
from test_conversations import ConversationTestCase


class Alerts:
    """What a running Coffer has told of canaries, since the last look at each place."""

    def __init__(self, test, coffer=None):
        self.test, self.coffer = test, coffer or test.coffer
        self.seen = {"log": len(self.lines()), "figure": self.figure()}

    def lines(self):
        lines = [json.loads(line) for line in self.coffer.output().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == "canary secret read"]

    def figure(self):
        text = self.coffer.command("metrics", "--dir", self.coffer.folder).stdout
        return int(next(line for line in text.splitlines() if line.startswith("coffer_canary_alerts_total ")).split()[1])

    def entries(self, tenant="default"):
        text = self.coffer.command("audit", "list", "--dir", self.coffer.folder, "--tenant", tenant, "--json").stdout
        return [entry for entry in map(json.loads, text.splitlines()) if entry["action"] == "canary.alert"]

    def new(self, count):
        """The new lines of the log, of which there must be so many; the figure has grown by as many."""
        deadline = time.monotonic() + 5
        while len(self.lines()) < self.seen["log"] + count and time.monotonic() < deadline:
            time.sleep(0.02)
        lines, figure = self.lines(), self.figure()
        self.test.assertEqual((len(lines) - self.seen["log"], figure - self.seen["figure"]), (count, count), lines[self.seen["log"] :])
        lines = lines[self.seen["log"] :]
        self.seen = {"log": self.seen["log"] + count, "figure": figure}
        return lines


class CustomSecretTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.name = "C_" + self.id().rsplit(".", 1)[-1]
        self.put(self.name, "value-of-canary", description="looks useful")
        self.put("ORDINARY", "value-of-ordinary")
        self.operator = Operator(self.coffer)
        self.addCleanup(self.operator.close)

    def mark(self, verb="mark", name=None, check=True):
        return self.coffer.command("canary", verb, name or self.name, "--dir", self.coffer.folder, check=check)

    def test_a_reading_is_told_and_what_is_no_reading_is_not(self):
        alerts = Alerts(self)
        tag = self.put(self.name, "value-of-canary").header("ETag")
        before = self.ask("GET", "/api/settings/secrets").body
        self.mark()
        self.assertEqual(self.ask("GET", "/api/settings/secrets").body, before)
        self.assertEqual(self.value("ORDINARY"), b"value-of-ordinary")
        self.assertEqual(self.ask("GET", "/api/settings/secrets/" + self.name, key="csk_wrong").status, 401)
        masked = self.coffer.create_key("masked")
        self.assertEqual(self.ask("GET", "/api/settings/secrets/" + self.name, key=masked).status, 403)
        alerts.new(0)
        self.assertEqual(self.value(self.name), b"value-of-canary")
        (line,) = alerts.new(1)
        key = self.coffer.keys["sessionKey"].split("_")[1]
        self.assertEqual(line["level"], "error")
        self.assertEqual((line["secret"], line["action"], line["actor"], line["key"]), ("secrets/" + self.name, "secret.read", "key", key))
        self.assertEqual(line["address"], "127.0.0.1")
        (entry,) = [entry for entry in alerts.entries() if entry["secretId"] == "secrets/" + self.name]
        self.assertEqual((entry["keyId"], entry["requestId"], entry["scope"]), (key, line["requestId"], ""))
        self.assertEqual(json.loads(entry["details"])["action"], "secret.read")
        # A lookup key; and the old tag still names the secret as it is.
        lookup = self.coffer.create_key("lookup")
        self.assertEqual(self.ask("GET", "/api/settings/secrets/" + self.name, key=lookup).body, b"value-of-canary")
        self.assertEqual(alerts.new(1)[0]["key"], lookup.split("_")[1])
        self.assertEqual(self.ask("PUT", "/api/settings/secrets", {"name": self.name, "description": "d"}, headers={"If-Match": tag}).status, 200)
        # The mark stays with the secret through changes and rotations, and no line holds a value.
        self.put(self.name, "value-new")
        self.coffer.command("kek", "rotate", "--dir", self.coffer.folder)
        self.wait_for_rewrap()
        alerts.new(0)
        self.assertEqual(self.value(self.name), b"value-new")
        alerts.new(1)
        self.assertNotIn("value-", self.coffer.output())
        self.assertNotIn("value-", json.dumps(alerts.entries()))

    def wait_for_rewrap(self):
        for _ in range(200):
            if json.loads(self.coffer.command("kek", "rewrap", "--dir", self.coffer.folder, "--json").stdout)["isDone"]:
                return
            time.sleep(0.05)
        self.fail("the re-wrap did not end")

    def test_an_export_reads_it(self):
        self.mark()
        alerts = Alerts(self)
        self.coffer.command("export", "openhands", os.path.join(self.coffer.home, "exported"), "--dir", self.coffer.folder)
        read = {line["secret"]: (line["action"], line["actor"]) for line in alerts.new(len(alerts.lines()) - alerts.seen["log"] or 1)}
        self.assertEqual(read["secrets/" + self.name], ("export.openhands", "operator"))
        self.assertNotIn("secrets/ORDINARY", read)

    def test_the_mark_ends_with_the_secret_or_when_it_is_taken_away(self):
        alerts = Alerts(self)
        self.mark()
        self.mark("unmark")
        self.value(self.name)
        self.mark()
        self.assertEqual(self.ask("DELETE", "/api/settings/secrets/" + self.name).status, 200)
        self.put(self.name, "value-second-life")
        self.value(self.name)
        alerts.new(0)
        self.assertNotIn(self.name, self.coffer.command("canary", "list", "--dir", self.coffer.folder).stdout)
        self.assertEqual(self.mark(name="NOT_THERE", check=False).returncode, 1)
        self.assertEqual(self.mark(name="not-a-name", check=False).returncode, 64)
        self.coffer.command("verify", "--dir", self.coffer.folder)

    def test_the_list_and_the_doctor_count_until_it_is_marked_anew(self):
        def row():
            rows = map(json.loads, self.coffer.command("canary", "list", "--dir", self.coffer.folder, "--json").stdout.splitlines())
            return next(row for row in rows if row["name"] == self.name)

        def finding():
            doctor = self.coffer.command("doctor", "--dir", self.coffer.folder, "--json", check=False)
            return [found for found in json.loads(doctor.stdout)["findings"] if found["code"] == "canary"]

        for earlier in self.operator("GET", "/tenants/default/canaries"):
            self.mark("unmark", earlier["name"])
        self.mark()
        self.assertEqual((row()["alerts"], row()["lastAlertAt"], finding()), (0, None, []))
        self.value(self.name)
        self.value(self.name)
        self.assertEqual((row()["alerts"], finding()[0]["kind"]), (2, "warning"))
        self.assertIn(row()["lastAlertAt"], finding()[0]["text"])
        self.mark()
        self.assertEqual((row()["alerts"], finding()), (0, []))

    def test_operators_mark_and_nobody_else(self):
        path = "/tenants/default/canaries/settings/" + self.name
        auditor = Operator(self.coffer, self.operator("POST", "/admins", {"name": "a", "role": "auditor"})["key"])
        keeper = Operator(self.coffer, self.operator("POST", "/admins", {"name": "o", "role": "operator"})["key"])
        self.addCleanup(auditor.close)
        self.addCleanup(keeper.close)
        for method in ("PUT", "DELETE"):
            self.assertEqual(auditor.raw(method, path).status, 403)
            self.assertEqual(self.ask(method, "/admin/v1" + path).status, 401)
        keeper("PUT", path)
        self.assertIn(self.name, [row["name"] for row in auditor("GET", "/tenants/default/canaries")])
        self.assertNotIn("value-", json.dumps(auditor("GET", "/tenants/default/canaries")))

    def test_a_flood_of_refusals_hides_no_alert(self):
        self.mark()
        alerts = Alerts(self)
        for _ in range(60):
            self.assertEqual(self.ask("GET", "/api/settings", key="csk_wrong").status, 401)
        self.value(self.name)
        alerts.new(1)


class ScopedSecretTests(ScopedTestCase):
    def setUp(self):
        super().setUp()
        self.reader = self.agent("reader")
        self.reader.call("PUT", self.reader.path("acme"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "value-of-canary"}]})
        self.envelope = self.reader.store("acme", "f", b"value-sealed")
        self.below_mark = self.below("canaries/agent/%s/acme" % self.reader.id)

    def views(self):
        """Everything that shows metadata, as the reader sees it."""
        targets = ("", "acme/history", "acme/fields/f/versions")
        shown = [self.reader.call("GET", self.reader.path(target).rstrip("/")) for target in targets]
        return shown + [self.reader.call("GET", "/agent/secrets/effective"), self.reader.call("GET", "/agent/secrets/scopes")]

    def test_every_way_of_reading_is_told_once(self):
        path, field = self.reader.path("acme"), self.reader.path("acme") + "/fields/"
        # Read before, so that the answer could come from memory.
        tag = self.reader.ask("GET", field + "f").header("ETag")
        before = self.views()
        self.operator("PUT", self.below_mark)
        alerts = Alerts(self)
        self.assertEqual(self.views(), before)
        self.reader.mint("acme", "g")
        self.reader.unwrap("acme", "f", {"dataKeyCiphertext": self.reader.mint("acme", "f")["dataKeyCiphertext"]}, 409)
        self.assertEqual(self.reader.ask("GET", field + "f", headers=[("If-None-Match", tag)]).status, 304)
        alerts.new(0)
        for target, action, key in (
            (path, "secret.read", ""), (path + "?fields=f", "secret.read", ""), (field + "p", "field.read", "p"),
            (field + "f", "field.read", "f"), (field + "f", "field.read", "f"), ("/agent/secrets/effective/acme", "secret.read", ""),
            ("/agent/secrets/effective/acme/fields/f", "field.read", "f"), (field + "f?version=1", "field.read", "f"),
        ):  # fmt: skip
            with self.subTest(target):
                self.reader.call("GET", target)
                (line,) = alerts.new(1)
                self.assertEqual((line["action"], line.get("field", "")), (action, key))
                self.assertEqual(line["secret"], "scoped_secrets/agent/%s/acme" % self.reader.id)
                self.assertEqual((line["actor"], line["actorId"], line["key"]), ("agent", self.reader.id, self.reader.key_id))
        self.reader.unwrap("acme", "f", self.envelope)
        self.assertEqual(alerts.new(1)[0]["action"], "data_key.decrypted")
        entries = alerts.entries(self.tenant)
        self.assertEqual(len(entries), 9)
        self.assertEqual({(entry["scope"], entry["secretId"]) for entry in entries}, {("", "scoped_secrets/agent/%s/acme" % self.reader.id)})
        # The reader's own history tells of its readings as ever, and of nothing else.
        kinds = {entry["action"] for entry in self.reader.call("GET", path + "/history")}
        self.assertFalse({kind for kind in kinds if "canary" in kind}, kinds)
        self.assertNotIn("value-", self.coffer.output())
        (row,) = self.operator("GET", self.below("canaries"))
        self.assertEqual((row["dialect"], row["secretId"], row["alerts"], row["deleted"]), ("scoped", "acme", 9, False))

    def test_readings_in_quick_succession_are_each_counted(self):
        self.operator("PUT", self.below_mark)
        before = Alerts(self).figure()
        for _ in range(60):
            self.reader.call("GET", self.reader.path("acme") + "/fields/f")
        # The log is limited to so many lines a second; the other places are not.
        self.assertEqual(Alerts(self).figure() - before, 60)
        self.assertEqual(self.operator("GET", self.below("canaries"))[0]["alerts"], 60)
        self.assertEqual(len(Alerts(self).entries(self.tenant)), 60)
        # A second later it tells of the next one again.
        time.sleep(1.1)
        alerts = Alerts(self)
        self.reader.call("GET", self.reader.path("acme") + "/fields/f")
        alerts.new(1)

    def test_the_mark_follows_the_secret_until_it_is_destroyed(self):
        self.operator("PUT", self.below_mark)
        alerts = Alerts(self)
        path = self.reader.path("acme")
        self.reader.call("PATCH", path, {"tags": ["t"]})
        self.reader.store("acme", "f", b"value-again")
        self.reader.call("DELETE", path)
        self.assertTrue(self.operator("GET", self.below("canaries"))[0]["deleted"])
        # Another one of the same id is none.
        self.reader.call("PUT", path, {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "value-other"}]})
        self.reader.call("GET", path)
        alerts.new(0)
        self.reader.call("DELETE", path)
        *_, first = self.operator("GET", self.below("secrets/agent/%s/acme?includeDeleted=true" % self.reader.id))["others"]
        self.operator("POST", self.below("secrets/agent/%s/acme/restore" % self.reader.id), {"incarnation": first["incarnation"]})
        self.reader.call("GET", path + "/fields/f")
        alerts.new(1)
        self.coffer.command("verify", "--dir", self.coffer.folder)
        self.reader.call("DELETE", path)
        self.operator("POST", self.below("secrets/agent/%s/acme/purge?confirm=acme" % self.reader.id))
        self.assertEqual(self.operator("GET", self.below("canaries")), [])
        self.coffer.command("verify", "--dir", self.coffer.folder)
        self.operator("PUT", self.below_mark, status=404, code="secret_not_found")
        for wrong in ("canaries/agent/%s/-" % self.reader.id, "canaries/settings/not-a-name"):
            self.operator("PUT", self.below(wrong), status=400, code="validation_failed")
        self.operator("PUT", self.below("canaries/galaxy/x/acme"), status=404)


class WithoutAuditTests(ScopedTestCase):
    """The chain cannot take an entry: nothing is exposed, and the alert is told where it can be."""

    def test_the_log_tells_what_the_chain_cannot(self):
        coffer = self.use_fresh(options=self.options)
        reader = self.agent("reader")
        reader.call("PUT", reader.path("acme"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "value-hidden"}]})
        reader.store("acme", "f", b"sealed")
        self.put("CANARY", "value-hidden")
        self.operator("PUT", "/tenants/default/canaries/settings/CANARY")
        self.operator("PUT", self.below("canaries/agent/%s/acme" % reader.id))
        self.ask.close()
        coffer.stop()
        database = sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)
        database.execute("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no audit'); END")
        database.close()
        coffer.up()
        reader.client.close()
        alerts = Alerts(self)
        for ask, target, status in (
            (self.ask, "/api/settings/secrets/CANARY", 503), (reader.ask, reader.path("acme"), 503),
            (reader.ask, reader.path("acme") + "/fields/p", 503), (reader.ask, reader.path("acme") + "/fields/f", 200),
        ):  # fmt: skip
            answer = ask("GET", target)
            self.assertEqual(answer.status, status, target)
            self.assertNotIn(b"value-hidden", answer.body)
            alerts.new(1)


class LookupTests(ConversationTestCase):
    def test_a_conversation_that_looks_it_up(self):
        self.put("CANARY", "value-of-canary")
        self.coffer.command("canary", "mark", "CANARY", "--dir", self.coffer.folder)
        alerts = Alerts(self)
        lookup = {"kind": "LookupSecret", "url": "/api/settings/secrets/CANARY", "headers": {"X-Session-API-Key": self.coffer.keys["sessionKey"]}}
        body = {"agent": {"kind": "Agent", "llm": {"model": "openai/gpt-4o", "api_key": "value-plain"}}, "workspace": {"working_dir": "/w"}}
        self.begin({**body, "secrets": {"CANARY": lookup}})
        alerts.new(0)
        source = self.last().json()["secrets"]["CANARY"]
        target, token = "/api/settings/secrets/" + source["url"].rsplit("/", 1)[-1], source["headers"]["X-Session-API-Key"]
        self.assertEqual(self.ask("GET", target, key=token).body, b"value-of-canary")
        (line,) = alerts.new(1)
        self.assertEqual((line["actor"], line["key"], line["secret"]), ("conversation", token.split("_")[1], "secrets/CANARY"))


class TamperingTests(ScopedTestCase):
    """Nobody takes a mark away, or sets one, by SQL."""

    def setUp(self):
        self.coffer = self.fresh(options=self.options)
        super().setUp()
        self.put("MARKED", "value-marked")
        self.put("FREE", "value-free")
        self.reader = self.agent("reader")
        for name in ("marked", "free"):
            self.reader.call("PUT", self.reader.path(name), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "v"}]})
        self.before = self.rows()
        self.operator("PUT", "/tenants/default/canaries/settings/MARKED")
        self.operator("PUT", self.below("canaries/agent/%s/marked" % self.reader.id))

    def database(self):
        return sqlite3.connect(self.coffer.folder + "/store/coffer.db", isolation_level=None)

    def rows(self):
        """The secrets of either dialect, each as its rows with their tables: one of the scoped dialect has a head too."""
        database = self.database()
        try:
            heads = {row[1]: row for row in database.execute("SELECT * FROM fields WHERE field_key = ''")}
            scoped = database.execute("SELECT * FROM scoped_secrets").fetchall()
            return {
                "secrets": [(("secrets", row),) for row in database.execute("SELECT * FROM secrets")],
                "scoped_secrets": [(("scoped_secrets", row), ("fields", heads[row[5]])) for row in scoped],
            }
        finally:
            database.close()

    @staticmethod
    def putting_back(secret):
        return [("REPLACE INTO %s VALUES (%s)" % (table, ",".join("?" * len(row))), row) for table, row in secret]

    def stopped(self, *changes):
        """The findings of verification after these changes of the stopped store."""
        if self.coffer.process:
            self.ask.close()
            self.reader.client.close()
            self.coffer.stop()
        database = self.database()
        for change, *values in changes:
            self.assertGreater(database.execute(change, *values).rowcount, 0, change)
        database.close()
        report = json.loads(self.coffer.command("verify", "--dir", self.coffer.folder, "--json", check=False).stdout)
        return sorted((found["problem"], found["place"].split("/agt_")[0]) for found in report["findings"])

    def test_the_flag_is_under_the_mac(self):
        self.assertEqual(self.stopped(), [])
        found = self.stopped(*(("UPDATE %s SET is_canary = 1 - is_canary" % table,) for table in ("secrets", "scoped_secrets")))
        changed = [place for problem, place in found if problem == "changed"]
        self.assertEqual(changed, ["scoped_secrets/agent"] * 2 + ["secrets/FREE", "secrets/MARKED"])
        self.coffer.up()
        for name in ("MARKED", "FREE"):
            self.assertEqual(self.ask("GET", "/api/settings/secrets/" + name).status, 503)
            self.reader.call("GET", self.reader.path(name.lower()), status=503)

    def test_a_row_of_before_is_found(self):
        """The old row has its MAC: it is good, but for the chain."""
        for table in ("secrets", "scoped_secrets"):
            marked = self.rows()[table]
            old = [row for row in self.before[table] if row not in marked]
            self.assertEqual(len(old), 1)
            found = self.stopped(*self.putting_back(old[0]))
            self.assertIn(("missing", "canaries/" + ("secrets/MARKED" if table == "secrets" else "scoped_secrets/agent")), found)
        self.assertEqual(len(found), 2)

    def test_a_mark_of_before_is_found(self):
        marked = self.rows()
        self.operator("DELETE", "/tenants/default/canaries/settings/MARKED")
        self.operator("DELETE", self.below("canaries/agent/%s/marked" % self.reader.id))
        self.assertEqual(self.stopped(), [])
        now = self.rows()
        for table in ("secrets", "scoped_secrets"):
            (old,) = [row for row in marked[table] if row not in now[table]]
            found = self.stopped(*self.putting_back(old))
        self.assertEqual([place for _, place in found], ["canaries/scoped_secrets/agent", "canaries/secrets/MARKED"])

    def test_a_cut_of_the_chain_forgets_no_mark(self):
        for tenant in ("default", self.tenant):
            cut = self.coffer.command("audit", "trim", "--dir", self.coffer.folder, "--tenant", tenant, "--before", tomorrow())
            self.assertRegex(cut.stdout, "^[1-9][0-9]* entries cut")
        self.assertEqual(self.stopped(), [])
        found = self.stopped(*(("DELETE FROM %s WHERE is_canary = 1" % table,) for table in ("secrets", "scoped_secrets")))
        self.assertEqual([place for _, place in found if place.startswith("canaries/")],
                         ["canaries/scoped_secrets/agent", "canaries/secrets/MARKED"])  # fmt: skip


if __name__ == "__main__":
    unittest.main()
