"""Tenants that go for good, keys that are replaced, and audit chains that are cut, exported and compared with a head."""

import json
import os
import pathlib
import random
import sqlite3
import stat
import tempfile
import time

from coffer_harness import CofferTestCase, tomorrow


class KeepingTestCase(CofferTestCase):
    def coffer_command(self, *arguments, coffer=None, **options):
        coffer = coffer or self.coffer
        return coffer.command(*arguments, "--dir", coffer.folder, **options)

    def tenant(self, name, coffer=None):
        return self.coffer_command("tenant", "create", name, coffer=coffer).stdout.strip()

    def client_of(self, tenant, coffer=None):
        coffer = coffer or self.coffer
        key = json.loads(self.coffer_command("key", "create", "--tenant", tenant, "--level", "backend", "--json", coffer=coffer).stdout)
        client = coffer.client(key["key"])
        self.addCleanup(client.close)
        return client, key


class DeletionTests(KeepingTestCase):
    def test_a_tenant_is_renamed_and_listed(self):
        tenant = self.tenant("before")
        self.coffer_command("tenant", "rename", tenant, "after")
        (row,) = [line.split("  ") for line in self.coffer_command("tenant", "list").stdout.splitlines() if line.startswith(tenant)]
        self.assertEqual(row[2], "after")
        self.assertEqual(self.coffer_command("tenant", "create", "after", check=False).returncode, 1)

    def test_the_default_tenant_stays(self):
        refused = self.coffer_command("tenant", "delete", "default", "--confirm", "default", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("The default tenant cannot be deleted.", refused.stderr)

    def test_a_deleted_tenants_keys_end_on_every_loop(self):
        """Kept connections on all threads, with everything of the tenant known to each of them."""
        tenant = self.tenant("loops")
        clients = [self.client_of(tenant)[0] for _ in range(8)]
        for client in clients:
            for number in range(4):
                self.put("S%d" % number, "value-of-the-deleted", client)
                self.assertEqual(client("GET", "/api/settings/secrets/S%d" % number).status, 200)
            client("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "value-of-the-deleted"}}})
            for mode in ({}, {"X-Expose-Secrets": "encrypted"}, {"X-Expose-Secrets": "plaintext"}):
                self.assertEqual(client("GET", "/api/settings", headers=mode).status, 200)
        self.assertEqual(self.coffer_command("tenant", "delete", tenant, "--confirm", "wrong", check=False).returncode, 1)
        self.assertEqual(clients[0]("GET", "/api/settings").status, 200)
        self.coffer_command("tenant", "delete", tenant, "--confirm", "loops")
        for client in clients:
            for _ in range(4):
                for target in ("/api/settings", "/api/settings/secrets", "/api/settings/secrets/S1"):
                    answer = client("GET", target, headers={"X-Expose-Secrets": "plaintext"})
                    self.assertEqual(answer.status, 401)
                    self.assertNotIn(b"value-of-the-deleted", answer.body)
                self.assertEqual(client("PUT", "/api/settings/secrets", {"name": "N", "value": "v"}).status, 401)
        self.assertEqual(self.ask("GET", "/api/settings").status, 200)
        self.assertNotIn(tenant, self.coffer_command("tenant", "list").stdout)
        self.assertIn(tenant, self.coffer_command("tenant", "list", "--all").stdout)

    def test_the_keys_of_a_deleted_tenant_are_in_no_file(self):
        """T54: the wrapped KEK and the sealed rows, searched for in every file while the server runs and after it."""
        coffer = self.fresh()
        tenant, other = self.tenant("shredded", coffer), self.tenant("kept", coffer)
        client, _ = self.client_of(tenant, coffer)
        stays, _ = self.client_of(other, coffer)
        for number in range(50):
            self.put("S%d" % number, "value-%d" % number * 20, client)
            self.put("S%d" % number, "value-%d" % number, stays)
        client("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "value-llm"}}})
        store = pathlib.Path(coffer.folder, "store")

        def rows():
            database = sqlite3.connect("file:%s?mode=ro" % (store / "coffer.db"), uri=True)
            try:
                wrapped = [row[0] for row in database.execute("SELECT wrapped FROM keks WHERE tenant = ?", (tenant,))]
                sealed = [row[0] for row in database.execute("SELECT sealed FROM secrets WHERE tenant = ?", (tenant,))]
                sealed += [row[0] for row in database.execute("SELECT sealed FROM documents WHERE tenant = ?", (tenant,))]
                # A longer one is spread over pages.
                return wrapped, [value[:60] for value in sealed]
            finally:
                database.close()

        wrapped, sealed = rows()
        self.assertEqual((len(wrapped), len(sealed)), (1, 51))

        def found(parts):
            files = [path.read_bytes() for path in store.iterdir() if path.is_file()]
            return sum(any(part in content for content in files) for part in parts)

        self.assertEqual(found(wrapped), 1)
        self.assertEqual(found(sealed), 51)
        answer = self.coffer_command("tenant", "delete", tenant, "--confirm", "shredded", coffer=coffer)
        self.assertEqual(answer.stderr, "")
        self.assertEqual((found(wrapped), found(sealed)), (0, 0))
        self.assertEqual((store / "coffer.db-wal").stat().st_size, 0)
        self.assertEqual(self.value("S7", stays), b"value-7")
        client.close()
        stays.close()
        coffer.stop()
        self.assertEqual((found(wrapped), found(sealed)), (0, 0))

        # No table keeps a row of the tenant but those of its chain, and its own without a name.
        with sqlite3.connect("file:%s?mode=ro" % (store / "coffer.db"), uri=True) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                columns = [row[1] for row in database.execute("PRAGMA table_info(%s)" % table)]
                if "tenant" in columns and table != "audit":
                    self.assertEqual(database.execute("SELECT count(*) FROM %s WHERE tenant = ?" % table, (tenant,)).fetchone(), (0,), table)
            self.assertEqual(
                database.execute("SELECT name, active_kek_version FROM tenants WHERE id = ?", (tenant,)).fetchone(), ("deleted " + tenant, 0))
        database.close()
        coffer.up()
        self.assertEqual(client("GET", "/api/settings").status, 401)
        self.assertEqual(self.value("S7", stays), b"value-7")
        verified = self.coffer_command("audit", "verify", "--tenant", tenant, coffer=coffer)
        self.assertIn("every link and MAC fits", verified.stdout)
        self.coffer_command("verify", coffer=coffer)
        last = json.loads(self.coffer_command("audit", "list", "--tenant", tenant, "--json", coffer=coffer).stdout.splitlines()[-1])
        self.assertEqual((last["action"], last["details"]), ("tenant.delete", '{"name":"shredded"}'))

    def test_a_reader_in_the_way_is_told_and_the_bytes_go_later(self):
        coffer = self.fresh()
        tenant = self.tenant("held", coffer)
        client, _ = self.client_of(tenant, coffer)
        self.put("S", "value", client)
        database = sqlite3.connect("file:%s?mode=ro" % (coffer.folder + "/store/coffer.db"), uri=True, isolation_level=None)
        self.addCleanup(database.close)
        (wrapped,) = database.execute("SELECT wrapped FROM keks WHERE tenant = ?", (tenant,)).fetchone()
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM tenants").fetchone()
        answer = self.coffer_command("tenant", "delete", tenant, "--confirm", "held", coffer=coffer)
        self.assertIn("a reader holds the store's log", answer.stderr)
        self.assertEqual(client("GET", "/api/settings").status, 401)
        database.execute("COMMIT")
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.put("LATER", "value", ask)
        for _ in range(100):
            files = [path.read_bytes() for path in pathlib.Path(coffer.folder, "store").iterdir() if path.is_file()]
            if not any(wrapped in content for content in files):
                break
            time.sleep(0.05)
        self.assertFalse(any(wrapped in content for content in files))


class KeyRotationTests(KeepingTestCase):
    def rotate(self, key, *options):
        return json.loads(self.coffer_command("key", "rotate", key, "--json", *options).stdout)

    def test_both_keys_hold_for_the_overlap(self):
        old, made = self.client_of("default")
        new = self.rotate(made["id"], "--overlap", "2s")
        client = self.coffer.client(new["key"])
        self.addCleanup(client.close)
        self.assertEqual((new["level"], new["name"], new["tenant"]), (made["level"], made["name"], made["tenant"]))
        self.assertEqual((old("GET", "/api/settings").status, client("GET", "/api/settings").status), (200, 200))
        for _ in range(100):
            if old("GET", "/api/settings").status == 401:
                break
            time.sleep(0.05)
        self.assertEqual((old("GET", "/api/settings").status, client("GET", "/api/settings").status), (401, 200))
        refused = self.coffer_command("key", "rotate", made["id"], check=False)
        self.assertIn("The key is revoked or has expired", refused.stderr)

    def test_without_an_overlap_the_old_key_ends_at_once(self):
        old, made = self.client_of("default")
        self.assertEqual(old("GET", "/api/settings").status, 200)
        new = self.rotate(made["id"], "--overlap", "0")
        self.assertEqual(old("GET", "/api/settings").status, 401)
        client = self.coffer.client(new["key"])
        self.addCleanup(client.close)
        self.assertEqual(client("GET", "/api/settings").status, 200)
        self.assertIn("key.rotate", [entry["action"] for entry in self.coffer.audit()])
        self.coffer_command("verify")

    def test_a_lost_admin_key_is_replaced_on_the_host(self):
        key = self.coffer_command("key", "create", "--kind", "admin").stdout.strip()
        answer = self.ask("GET", "/admin/v1/status", headers=[("Authorization", "Bearer " + key)], key=None)
        self.assertEqual(answer.status, 200)


class ChainTests(KeepingTestCase):
    """A chain of two hundred entries whose first half was cut."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ask = cls.coffer.client()
        for number in range(100):
            assert ask("PUT", "/api/settings/secrets", {"name": "S%d" % (number % 7), "value": "v"}).status == 200
        cls.cut_head = cls.coffer.command("audit", "head", "--dir", cls.coffer.folder).stdout.strip()
        cls.coffer.command("audit", "trim", "--dir", cls.coffer.folder, "--before", tomorrow())
        for number in range(98):  # Behind the cut's own entry and the one that says which rows there are.
            assert ask("PUT", "/api/settings/secrets", {"name": "S%d" % (number % 7), "value": "v"}).status == 200
        cls.head = cls.coffer.command("audit", "head", "--dir", cls.coffer.folder).stdout.strip()
        assert ask("PUT", "/api/settings/secrets", {"name": "LAST", "value": "v"}).status == 200
        ask.close()
        cls.folder = tempfile.TemporaryDirectory(prefix="coffer-chain-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.export = cls.folder.name + "/chain"
        cls.coffer.command("audit", "export", "--dir", cls.coffer.folder, "--to", cls.export)
        cls.coffer.stop()
        cls.database = cls.coffer.folder + "/store/coffer.db"
        with open(cls.database, "rb") as file:
            cls.image = file.read()

    def verify(self, *options):
        return self.coffer_command("audit", "verify", *options, check=False)

    def test_the_cut_chain_is_whole(self):
        result = self.verify("--head", self.head)
        self.assertEqual((result.returncode, result.stdout), (0, "101 entries, every link and MAC fits; entries up to 103 were cut\n"))
        result = self.verify("--head", self.cut_head)
        self.assertEqual(result.returncode, 0)
        first = json.loads(self.coffer_command("audit", "list", "--limit", "1", "--json").stdout)
        self.assertEqual((first["sequence"], first["action"]), (104, "audit.trim"))
        self.assertEqual(json.loads(first["details"])["hash"], self.cut_head.split(":")[1])

    def test_two_hundred_changes_are_found(self):
        """T91: entries and the checkpoint changed, dropped, swapped, cut at either end."""
        generator = random.Random(20261125)
        columns = ["at", "actor_type", "actor_id", "key_id", "action", "scope", "scope_id", "secret_id", "field_key", "revision", "outcome",
                   "request_id", "details", "hash", "mac"]  # fmt: skip
        found = 0
        self.addCleanup(self.restore)
        for number in range(200):
            with self.subTest(number):
                self.restore()
                database = sqlite3.connect(self.database, isolation_level=None)
                kind = number % 8
                row = generator.randint(106, 198)
                if kind in (0, 1):
                    column = generator.choice(columns)
                    change = "x'%064x'" % generator.getrandbits(256) if column in ("hash", "mac") else "%s || ' '" % column
                    database.execute("UPDATE audit SET %s = %s WHERE sequence = ?" % (column, change), (row,))
                elif kind == 2:
                    database.execute("DELETE FROM audit WHERE sequence = ?", (row,))
                elif kind == 3:
                    other = generator.choice([sequence for sequence in range(104, 204) if sequence != row])
                    database.execute("UPDATE audit SET sequence = -1 WHERE sequence = ?", (row,))
                    database.execute("UPDATE audit SET sequence = ? WHERE sequence = ?", (row, other))
                    database.execute("UPDATE audit SET sequence = ? WHERE sequence = -1", (other,))
                elif kind == 4:
                    database.execute("DELETE FROM audit WHERE sequence <= ?", (row,))
                elif kind == 5:
                    database.execute("DELETE FROM audit WHERE sequence >= ?", (row,))
                elif kind == 6:
                    name, value = database.execute("SELECT name, value FROM records WHERE name LIKE 'audit-checkpoint/%'").fetchone()
                    at = generator.randrange(len(value))
                    changed = value[:at] + bytes([value[at] ^ (1 << generator.randrange(8))]) + value[at + 1 :]
                    database.execute("UPDATE records SET value = ? WHERE name = ?", (changed, name))
                else:
                    database.execute("DELETE FROM records WHERE name LIKE 'audit-checkpoint/%'")
                    if number % 16 == 7:
                        database.execute("UPDATE audit SET sequence = sequence - 103")
                database.close()
                result = self.verify("--head", self.head)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertIn("does not fit", result.stdout)
                found += 1
        self.assertEqual(found, 200)

    def restore(self):
        for part in ("-wal", "-shm"):
            pathlib.Path(self.database + part).unlink(missing_ok=True)
        with open(self.database, "wb") as file:
            file.write(self.image)

    def test_an_export_is_checked_without_its_store(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.export).st_mode), 0o600)
        self.assertEqual(self.verify("--file", self.export).stdout, "101 entries, every link and MAC fits; entries up to 103 were cut\n")
        refused = self.coffer_command("audit", "export", "--to", self.export, check=False)
        self.assertIn("exists already", refused.stderr)
        lines = pathlib.Path(self.export).read_text().splitlines()
        generator = random.Random(20261126)
        changed = self.folder.name + "/changed"
        for number in range(40):
            copy = list(lines)
            row = generator.randint(1, 98)
            if number % 4 == 0:
                entry = json.loads(copy[row])
                entry[generator.choice(sorted(entry))] = "x"
                copy[row] = json.dumps(entry)
            elif number % 4 == 1:
                del copy[row]
            elif number % 4 == 2:
                copy[row], copy[row + 1] = copy[row + 1], copy[row]
            else:
                copy = copy[: row + 1]
            pathlib.Path(changed).write_text("\n".join(copy) + "\n")
            result = self.verify("--file", changed, "--head", self.head)
            self.assertEqual(result.returncode, 1, result.stdout)
        # Somewhere without the root key the links are checked, and it says so.
        result = self.coffer.command("audit", "verify", "--file", self.export, "--head", self.head, "--dir", self.folder.name)
        self.assertIn("MACs unchecked", result.stdout)

    def test_the_rows_are_known_behind_a_cut(self):
        """The newest version of each row is named again: an older one put back is found, and so is one that was deleted."""
        coffer = self.fresh()
        ask = coffer.client()
        for number in range(450):
            self.put("S%d" % number, "old", ask)
        ask("PATCH", "/api/settings", {"misc_settings_diff": {"a": 1}})
        ask("DELETE", "/api/settings/secrets/S449")
        ask.close()
        coffer.stop()
        database = coffer.folder + "/store/coffer.db"
        with open(database, "rb") as file:
            before = file.read()
        coffer.up()
        self.put("S7", "new", ask)
        ask("DELETE", "/api/settings/secrets/S8")
        ask.close()
        for _ in range(2):
            self.coffer_command("audit", "trim", "--before", tomorrow(), coffer=coffer)
            self.assertEqual(self.coffer_command("verify", coffer=coffer).returncode, 0)
        actions = [entry["action"] for entry in coffer.audit()]
        self.assertEqual(actions, ["audit.trim"] + ["audit.carry"] * 3)
        coffer.stop()
        old = self.place(before)
        for name in ("S7", "S8"):
            with self.subTest(name):
                connection = sqlite3.connect(database, isolation_level=None)
                connection.execute("ATTACH ? AS old", (old,))
                connection.execute("BEGIN")
                connection.execute("REPLACE INTO main.secrets SELECT * FROM old.secrets WHERE name = ?", (name,))
                connection.execute("COMMIT")
                connection.close()
                result = self.coffer_command("verify", coffer=coffer, check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn("secrets/" + name, result.stdout + result.stderr)

    def test_a_server_that_cuts_by_itself_ends_at_once(self):
        """Its thread waits for the next day."""
        coffer = self.fresh(environment={"COFFER_AUDIT_RETENTION_DAYS": "30"})
        start = time.monotonic()
        self.assertEqual(coffer.stop(), 0)
        self.assertLess(time.monotonic() - start, 15)
        coffer.environment["COFFER_AUDIT_RETENTION_DAYS"] = "many"
        self.assertRaisesRegex(RuntimeError, "a number from 0 to 36500", coffer.up)

    def place(self, content):
        folder = tempfile.TemporaryDirectory(prefix="coffer-old-")
        self.addCleanup(folder.cleanup)
        path = folder.name + "/coffer.db"
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_what_does_not_fit_is_not_cut(self):
        self.addCleanup(self.restore)
        database = sqlite3.connect(self.database, isolation_level=None)
        database.execute("UPDATE audit SET action = 'x' WHERE sequence = 150")
        database.close()
        refused = self.coffer_command("audit", "trim", "--before", tomorrow(), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("Entry 150 of the chain does not fit; nothing was cut.", refused.stderr)
        self.assertEqual(self.verify().returncode, 1)
