"""T30: the frozen store of every released schema is brought to this program's, whatever interrupts it, and serves everything.

COFFER_ROUNDS_UPGRADE sets how often each upgrade is killed (10 by default)."""

import fcntl
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from coffer_harness import ROOT, Coffer, binaries, leaves

BASELINES = sorted((ROOT / "Tests" / "Baselines").glob("schema-*"))
ROUNDS = int(os.environ.get("COFFER_ROUNDS_UPGRADE", "10"))


class UpgradeTests(unittest.TestCase):
    def opened(self, baseline):
        """The frozen store in a folder of its own, not yet touched by this program; what it holds."""
        expected = json.loads((baseline / "expected.json").read_text())
        expected["schema"] = self.number(baseline)
        coffer = Coffer(environment={"OH_SECRET_KEY": expected["wireSecret"]})
        self.addCleanup(coffer.destroy)
        for name in ("store", "keys", "run"):
            os.makedirs(os.path.join(coffer.folder, name), mode=0o700)
        os.chmod(coffer.folder, 0o700)
        shutil.copyfile(baseline / "coffer.db", os.path.join(coffer.folder, "store", "coffer.db"))
        shutil.copyfile(baseline / "root.key", os.path.join(coffer.folder, "keys", "root.key"))
        os.chmod(os.path.join(coffer.folder, "keys", "root.key"), 0o400)
        coffer.keys = {"sessionKey": expected["keys"]["session"], "adminKey": expected["keys"]["admin"]}
        return coffer, expected

    @staticmethod
    def number(baseline):
        return int(baseline.name.removeprefix("schema-"))

    def schema(self, coffer):
        connection = sqlite3.connect("file:%s?mode=ro" % os.path.join(coffer.folder, "store", "coffer.db"), uri=True)
        self.addCleanup(connection.close)
        return connection.execute("PRAGMA user_version").fetchone()[0]

    def current(self):
        coffer = Coffer()
        self.addCleanup(coffer.destroy)
        coffer.init()
        return self.schema(coffer)

    def test_baselines(self):
        self.assertTrue(BASELINES)
        for baseline in BASELINES:
            with self.subTest(baseline.name):
                coffer, expected = self.opened(baseline)
                self.check(coffer.up(), expected)
                self.assertEqual(self.schema(coffer), self.current())
                backup = os.path.join(coffer.home, "backup")
                coffer.command("backup", "--dir", coffer.folder, "--to", backup)
                coffer.stop()
                coffer.command("restore", "--dir", coffer.folder, "--from", backup)
                coffer.command("verify", "--dir", coffer.folder)

    def check(self, coffer, expected):
        coffer.command("verify", "--dir", coffer.folder)
        ask = coffer.client()
        self.addCleanup(ask.close)
        for secret in expected["secrets"]:
            answer = ask("GET", "/api/settings/secrets/" + secret["name"])
            self.assertEqual(answer.body.decode(), secret["value"])
        listed = ask("GET", "/api/settings/secrets").json()["secrets"]
        self.assertEqual(listed, [{"name": secret["name"], "description": secret["description"]} for secret in expected["secrets"]])
        exposed = {"X-Expose-Secrets": "plaintext"}
        settings = ask("GET", "/api/settings", headers=exposed).json()["agent_settings"]
        self.assertEqual(self.secrets(settings), self.secrets(expected["agentSettings"]))
        for name, llm in expected["profiles"].items():
            config = ask("GET", "/api/profiles/" + name, headers=exposed).json()["config"]
            self.assertEqual({key: config[key] for key in llm}, llm)
        (connection,) = ask("GET", "/api/llm/provider-connections").json()
        self.assertEqual(connection["display_name"], expected["connection"]["display_name"])
        self.assertEqual(ask("POST", "/api/profiles/linked/activate").status, 200)
        settings = ask("GET", "/api/settings", headers=exposed).json()["agent_settings"]
        self.assertEqual(settings["llm"]["api_key"], expected["connection"]["api_key"])
        agent = ask("GET", "/api/agent-profiles/coder").json()["profile"]
        self.assertEqual({key: agent[key] for key in expected["agentProfile"]}, expected["agentProfile"])
        self.assertEqual(ask("GET", "/api/workspaces").json()["workspaces"], expected["workspaces"])
        self.assertEqual(ask("GET", "/api/settings", key=expected["keys"]["masked"]).status, 200)
        self.assertEqual(ask("GET", "/api/settings", headers=exposed, key=expected["keys"]["masked"]).status, 403)
        self.assertEqual(ask("GET", "/api/settings", key=expected["keys"]["revoked"]).status, 401)
        if "scoped" in expected:
            self.check_scoped(ask, expected["scoped"], expected["schema"])
        ask.close()

    def check_scoped(self, ask, expected, schema):
        own = "/agent/secrets/agent/%s/kept" % expected["agent"]

        def answer(method, target, body=None):
            return ask(method, target, body, key=None, headers={"Authorization": "Bearer " + expected["key"]})

        def data(*request):
            self.assertEqual(answer(*request).status, 200)
            return answer(*request).json()["data"]

        *_, earlier, newest = expected["versions"]
        self.assertEqual(data("GET", own + "/fields/many")["value"], newest)
        # What was destroyed before schema 7 is in the secret's history alone.
        destroyed = 2 if schema >= 7 else 0

        def states():
            versions = data("GET", own + "/fields/many/versions")
            self.assertEqual([each["fieldVersion"] for each in versions], list(range(versions[0]["fieldVersion"], 0, -1))[: len(versions)])
            return [each["state"] for each in versions]

        self.assertEqual(states(), ["current"] + ["retained"] * 5 + ["destroyed"] * destroyed)
        self.assertEqual(data("GET", own + "/fields/many?version=%d" % (len(expected["versions"]) - 1))["value"], earlier)
        self.assertEqual(answer("GET", own + "/fields/gone").status, 404)
        self.assertEqual(sorted(field["key"] for field in data("GET", own)["aggregate"]["fields"]), ["many", "sealed"])
        self.assertEqual(data("GET", own + "/fields/sealed")["envelope"], expected["envelope"])
        opened = data("POST", "/agent/secrets/decrypt-data-key", {
            "scope": "agent", "scopeId": expected["agent"], "secretId": "kept", "fieldKey": "sealed",
            "dataKeyCiphertext": expected["envelope"]["dataKeyCiphertext"]})  # fmt: skip
        self.assertEqual(opened["plaintextKey"], expected["dataKey"])
        for number in range(3):
            self.assertEqual(answer("PUT", own + "/fields/many", {"sensitivity": "plaintext", "value": "new-%d" % number}).status, 200)
        # Nor does an entry from then tell enough of what is destroyed now.
        destroyed += 3 if schema >= 7 else 0
        self.assertEqual(states(), ["current"] + ["retained"] * 5 + ["destroyed"] * destroyed)

    def test_a_successor_brings_an_older_store_forward(self):
        """A restart into the new program: it is ready before it may write, and writes once the program before has let go."""
        current = self.current()
        coffer, expected = self.opened([each for each in BASELINES if self.number(each) < current][-1])
        lock = os.open(os.path.join(coffer.folder, "store", "coffer.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready, tells = os.pipe()
        process = subprocess.Popen(
            [str(binaries() / "cofferd"), "--dir", coffer.folder], env={**coffer.environment, "COFFER_READY_FD": str(tells)},
            pass_fds=[tells], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            os.close(tells)
            self.assertTrue(select.select([ready], [], [], 20)[0])
            self.assertEqual(os.read(ready, 1), b"\1")
            self.assertEqual(self.schema(coffer), expected["schema"])
            os.close(lock)
            deadline = time.monotonic() + 20
            while coffer.command("verify", "--dir", coffer.folder, check=False).returncode and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(self.schema(coffer), current)
            coffer.command("verify", "--dir", coffer.folder)
        finally:
            process.terminate()
            process.wait(20)
            os.close(ready)

    @staticmethod
    def secrets(document):
        return {(path, value) for path, value in leaves(document) if isinstance(value, str) and "value-" in value}

    def test_killed_while_upgrading(self):
        for baseline in BASELINES:
            for _ in range(ROUNDS):
                coffer, expected = self.opened(baseline)
                process = subprocess.Popen(
                    [str(binaries() / "coffer"), "key", "list", "--dir", coffer.folder],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=coffer.environment)  # fmt: skip
                try:
                    process.wait(random.uniform(0.001, 0.03))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait(20)
                report = json.loads(coffer.command("verify", "--dir", coffer.folder, "--json").stdout)
                self.assertEqual(report["auditEntries"], expected["auditEntries"])
                self.assertEqual(report["secrets"], len(expected["secrets"]) + ("scoped" in expected))
        print("\nT30 reached: %d kills of upgrades from each of %d older versions, everything there" % (ROUNDS, len(BASELINES)))


if __name__ == "__main__":
    unittest.main()
