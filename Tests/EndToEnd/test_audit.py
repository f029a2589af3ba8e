"""T90, T91 and T92 through the command line: every exposure and change has its entry, tampering is
found, and no entry breaks its line."""

import json
import os
import pathlib
import shutil
import sqlite3
import tempfile
import unittest

from coffer_harness import CofferTestCase

ODD = ["line\nbreak", "\x1b[31mred", "\x07bell\x00nul", "\u202eright to left", '"quoted"\\', "é☃🔑", "%0d%0a", "\r\nX-A: 1"]


def action(entry):
    return entry.get("action") or entry.get("event")


class AuditTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.start = max([entry["sequence"] for entry in self.coffer.audit()], default=0)

    def since(self):
        return [entry for entry in self.coffer.audit() if entry["sequence"] > self.start]

    def test_exposures_and_changes_are_entries(self):
        """One entry for each request that shows or changes something, in their order."""
        self.put("COUNTED", "value")
        self.put("COUNTED", "again")
        self.value("COUNTED")
        self.settings("plaintext")
        self.patch({"misc_settings_diff": {"audited": 1}})
        self.ask("DELETE", "/api/settings/secrets/COUNTED")
        entries = self.since()
        self.assertEqual(len(entries), 6, [action(entry) for entry in entries])
        self.assertEqual([("COUNTED" in json.dumps(entry)) for entry in entries], [True, True, True, False, False, True])
        ids = {json.dumps(entry.get("requestId") or entry.get("request_id")) for entry in entries}
        self.assertEqual(len(ids), 6, "each entry names its request")

    def test_what_exposes_nothing_is_no_entry(self):
        self.put("QUIET", "v")
        before = len(self.since())
        self.settings()
        self.settings("encrypted")
        self.ask("GET", "/api/settings/secrets")
        self.ask("GET", "/api/settings/agent-schema")
        self.ask("GET", "/api/settings/secrets/UNKNOWN")
        self.ask("GET", "/api/settings", headers={"If-None-Match": self.ask("GET", "/api/settings").header("ETag")})
        self.patch({}, status=400)
        self.assertEqual(len(self.since()), before)

    def test_refusals_of_known_keys_are_entries(self):
        self.put("REFUSED", "v")
        key = self.coffer.create_key("frontend")
        before = len(self.since())
        self.assertEqual(self.ask("GET", "/api/settings/secrets/REFUSED", key=key).status, 403)
        entries = self.since()[before:]
        self.assertEqual(len(entries), 1)
        self.assertIn(entries[0]["outcome"], ("denied", "refused"))

    def test_entries_are_lines_of_ascii(self):
        for number, text in enumerate(ODD):
            self.put("ODD_%d" % number, text, description=text)
            self.ask("GET", "/api/settings", headers={"X-Request-Id": text.encode("ascii", "ignore").decode().replace("\n", "").replace("\r", "")
                                                      .replace("\x00", "")})  # fmt: skip
            self.ask("GET", "/api/settings/secrets/ODD_%d?%s" % (number, "%0a"))
        self.patch({"misc_settings_diff": {text: text for text in ODD}})
        self.patch({"misc_settings_diff": {"n" * 100_000: 1}})
        text = self.coffer.command("audit", "list", "--dir", self.coffer.folder, "--json").stdout
        self.assertTrue(text.isascii())
        self.assertFalse(set(text) & {chr(code) for code in range(32)} - {"\n"})
        for entry in self.since():
            self.assertLess(len(json.dumps(entry)), 5000)
        log = self.coffer.output()
        self.assertFalse(set(log) & ({chr(code) for code in range(32)} | {"\x7f", "\u202e"}) - {"\n", "\t", "\r"})

    def test_verify(self):
        self.put("CHAINED", "v")
        result = self.coffer.command("audit", "verify", "--dir", self.coffer.folder)
        self.assertEqual(result.returncode, 0)
        # A head of another chain, and one of a longer chain than this.
        for sequence, told in ((2, "entry 2 does not fit"), (99_999, ", or is missing")):
            head = "%d:%s" % (sequence, "0" * 64)
            result = self.coffer.command("audit", "verify", "--dir", self.coffer.folder, "--head", head, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(told, result.stdout)

    def export(self, query="", method="GET", status=200):
        headers = {"Authorization": "Bearer " + self.coffer.keys["adminKey"]}
        answer = self.ask(method, "/admin/v1/tenants/default/audit/export" + query, headers=headers, key=None)
        self.assertEqual(answer.status, status, answer.body[:200])
        return answer

    def test_an_answer_is_a_file_that_verifies(self):
        """Over HTTP as from the command, in parts and behind what was exported before."""
        self.put("EXPORTED", "v")
        home = pathlib.Path(tempfile.mkdtemp(prefix="coffer-export-"))
        self.addCleanup(shutil.rmtree, home, True)

        def verify(name):
            return self.coffer.command("audit", "verify", "--dir", self.coffer.folder, "--file", str(home / name), check=False)

        whole = self.export()
        self.assertEqual((whole.header("Content-Type"), whole.header("X-Next-Cursor")), ("application/x-ndjson", None))
        (home / "whole").write_bytes(whole.body)
        self.assertEqual((verify("whole").returncode, verify("whole").stdout), (0, "%d entries, every link and MAC fits\n" % (whole.body.count(b"\n") - 1)))
        self.coffer.command("audit", "export", "--dir", self.coffer.folder, "--to", str(home / "command"))
        self.assertEqual((home / "command").read_bytes(), whole.body)
        text, query = b"", "?limit=2"
        while query is not None:
            part = self.export(query)
            self.assertLessEqual(part.body.count(b"\n"), 3)
            text += part.body
            cursor = part.header("X-Next-Cursor")
            query = cursor and "?limit=2&cursor=" + cursor
        self.assertEqual(text, whole.body)
        # Later entries are put behind it.
        last = json.loads(whole.body.splitlines()[-1])["sequence"]
        self.value("EXPORTED")
        with open(home / "whole", "ab") as file:
            file.write(self.export("?after=%d" % last).body)
        self.assertEqual((home / "whole").read_bytes(), self.export().body)
        self.assertEqual(verify("whole").returncode, 0)
        (home / "whole").write_bytes(b"".join(self.export().body.splitlines(True)[:-2] + self.export().body.splitlines(True)[-1:]))
        self.assertEqual(verify("whole").returncode, 1)
        head = self.export(method="HEAD")
        self.assertEqual((head.body, head.header("Content-Length")), (b"", str(len(self.export().body))))
        self.assertEqual(self.export(method="POST", status=405).header("Allow"), "GET, HEAD, OPTIONS")
        for query in ("?limit=0", "?limit=5001", "?limit=x", "?cursor=zz", "?after=x", "?after=-1", "?other=1", "?limit=1&limit=1"):
            self.assertEqual(self.export(query, status=400).json()["code"], "validation_failed")

    def test_a_chain_that_fits_into_no_answer(self):
        coffer = self.fresh()
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.put("LONG", "v", ask)
        for _ in range(5100):
            self.value("LONG", ask)
        admin = {"Authorization": "Bearer " + coffer.keys["adminKey"]}
        path = "/admin/v1/tenants/default/audit/export"
        first = ask("GET", path, headers=admin, key=None)
        rest = ask("GET", path + "?cursor=" + first.header("X-Next-Cursor"), headers=admin, key=None)
        self.assertLessEqual(first.body.count(b"\n"), 5001)
        self.assertIsNone(rest.header("X-Next-Cursor"))
        for served in (True, False):
            if not served:
                ask.close()
                coffer.stop()
            file = os.path.join(coffer.home, "chain-%s" % served)
            self.assertRegex(coffer.command("audit", "export", "--dir", coffer.folder, "--to", file).stdout, "^51[0-9][0-9] entries\n$")
            self.assertEqual(coffer.command("audit", "verify", "--dir", coffer.folder, "--file", file, check=False).returncode, 0)
            text = pathlib.Path(file).read_bytes()
            self.assertTrue(text.startswith(first.body + rest.body) if served else text.count(b"coffer-audit/1") == 1)

    def test_tampering_is_found(self):
        """T91 on a stopped store: change, drop and swap."""
        coffer = self.fresh()
        ask = coffer.client()
        for number in range(12):
            self.put("N%d" % number, "v", ask)
        ask.close()
        coffer.stop()
        database = self.database(coffer.folder)
        table, columns = audit_table(database)
        self.assertEqual(coffer.command("audit", "verify", "--dir", coffer.folder).returncode, 0)
        sequence = next(column for column in columns if column in ("sequence", "seq"))
        changes = ["UPDATE {t} SET %s = %s WHERE {s} = 5" % (column, "%s || 'x'" % column if kind in ("TEXT", "") else "x'00'")
                   for column, kind in columns.items() if column != sequence and kind in ("TEXT", "BLOB")]  # fmt: skip
        changes += ["DELETE FROM {t} WHERE {s} = 5", "UPDATE {t} SET {s} = 1000 WHERE {s} = 5",
                    "UPDATE {t} SET {s} = CASE {s} WHEN 5 THEN -6 WHEN 6 THEN -5 END WHERE {s} IN (5, 6)"]  # fmt: skip
        for change in changes:
            with self.subTest(change):
                copy = self.copy(coffer.folder)
                with sqlite3.connect(os.path.join(copy, os.path.relpath(database, coffer.folder)), isolation_level=None) as connection:
                    connection.execute("PRAGMA trusted_schema = ON")
                    for trigger in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                        connection.execute("DROP TRIGGER " + trigger[0])
                    connection.execute(change.format(t=table, s=sequence))
                    if "-6" in change:
                        connection.execute("UPDATE %s SET %s = -%s WHERE %s < 0" % (table, sequence, sequence, sequence))
                connection.close()
                self.assertNotEqual(coffer.command("audit", "verify", "--dir", copy, check=False).returncode, 0)

    @staticmethod
    def database(folder):
        """The one SQLite file below the folder."""
        (found,) = [
            path for path in pathlib.Path(folder).rglob("*") if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"
        ]
        return str(found)

    def copy(self, folder):
        home = tempfile.mkdtemp(prefix="coffer-copy-")
        self.addCleanup(shutil.rmtree, home, True)
        ignore = shutil.ignore_patterns("*.sock", "*.pid")
        return shutil.copytree(folder, os.path.join(home, "store"), ignore=ignore)

    def test_no_audit_no_answer(self):
        """With a chain that cannot grow every exposure and change is refused, and nothing happens."""
        coffer = self.fresh()
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.put("HIDDEN", "value-hidden", ask)
        ask.close()
        coffer.stop()
        database = self.database(coffer.folder)
        table, _ = audit_table(database)
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("CREATE TRIGGER no_audit BEFORE INSERT ON %s BEGIN SELECT RAISE(ABORT, 'no audit'); END" % table)
        connection.close()
        try:
            coffer.up()
        except RuntimeError:
            self.skipTest("a store with a foreign trigger is refused at the start, which is stronger")
        for method, target, body, headers in (
            ("GET", "/api/settings/secrets/HIDDEN", None, {}),
            ("GET", "/api/settings", None, {"X-Expose-Secrets": "plaintext"}),
            ("PUT", "/api/settings/secrets", {"name": "NEW", "value": "v"}, {}),
            ("PATCH", "/api/settings", {"misc_settings_diff": {"new": 1}}, {}),
            ("DELETE", "/api/settings/secrets/HIDDEN", None, {}),
        ):
            answer = ask(method, target, body, headers=headers)
            self.assertIn(answer.status, (500, 503), "%s %s" % (method, target))
            self.assertNotIn(b"value-hidden", answer.body)
        self.assertEqual(ask("GET", "/api/settings/secrets").json()["secrets"], [{"name": "HIDDEN", "description": None}])
        self.assertEqual(ask("GET", "/api/settings").json()["misc_settings"], {})


def audit_table(database):
    """The table of entries and its columns with their types."""
    connection = sqlite3.connect("file:%s?mode=ro" % database, uri=True)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%audit%'")]
        for table in tables:
            columns = {row[1]: row[2].upper() for row in connection.execute("PRAGMA table_info(%s)" % table)}
            if {"sequence", "seq"} & set(columns) and {"action", "event"} & set(columns):
                return table, columns
        raise AssertionError("no audit table among %s" % tables)
    finally:
        connection.close()


if __name__ == "__main__":
    unittest.main()
