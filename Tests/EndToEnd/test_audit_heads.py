"""The heads of the audit chains are told: into the log, and to a webhook that keeps them elsewhere."""

import http.server
import json
import os
import pathlib
import sqlite3
import threading
import time
import unittest

import canaries
from coffer_harness import Coffer

TOKEN = "canary-webhook-token-1"


class Receiver:
    """A webhook that answers with `statuses` in turn, the last again and again, and keeps what it gets."""

    def __init__(self, statuses):
        self.statuses, self.received, outer = list(statuses), [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((self.path, dict(self.headers), json.loads(body)))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = "http://127.0.0.1:%d/heads?token=%s-2" % (self.server.server_port, TOKEN)

    def wait(self, count, seconds=40):
        deadline = time.monotonic() + seconds
        while len(self.received) < count:
            if time.monotonic() > deadline:
                raise AssertionError("%d of %d deliveries" % (len(self.received), count))
            time.sleep(0.05)
        return self.received

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class AuditHeadTests(unittest.TestCase):
    def start(self, *statuses, minutes=1):
        self.receiver = Receiver(statuses or [204])
        self.addCleanup(self.receiver.close)
        self.coffer = Coffer()
        self.addCleanup(self.coffer.destroy)
        self.coffer.init()
        key = pathlib.Path(self.coffer.home, "webhook.key")
        key.write_text(TOKEN + "\n", encoding="utf-8")
        key.chmod(0o600)
        with open(os.path.join(self.coffer.folder, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("\naudit.head-minutes = %d\naudit.head-webhook = %s\naudit.head-webhook-key-file = %s\n" % (
                minutes, self.receiver.url, key))  # fmt: skip
        self.coffer.up()

    def head(self, *tenant):
        sequence, mark = self.coffer.command("audit", "head", "--dir", self.coffer.folder, *tenant).stdout.strip().split(":")
        return {"sequence": int(sequence), "hash": mark}

    def log(self):
        lines = pathlib.Path(self.coffer.log).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def test_delivery_and_what_it_is_good_for(self):
        self.start()
        client = self.coffer.client()
        self.addCleanup(client.close)
        self.assertEqual(client("PUT", "/api/settings/secrets", {"name": "ONE", "value": "v"}).status, 200)
        second = self.coffer.command("tenant", "create", "second", "--dir", self.coffer.folder).stdout.split()[0]
        wanted = {**self.head()}
        path, headers, body = self.receiver.wait(1)[0]
        self.assertEqual(path, "/heads?token=%s-2" % TOKEN)
        self.assertEqual((headers["Authorization"], headers["Content-Type"]), ("Bearer " + TOKEN, "application/json"))
        self.assertEqual(set(body), {"at", "heads"})
        told = {head.pop("tenant"): head for head in body["heads"]}
        self.assertEqual(len(told), 2)
        self.assertEqual(told.pop(second), self.head("--tenant", second))
        self.assertEqual(list(told.values()), [wanted])
        lines = [line for line in self.log() if line["message"] == "audit head"]
        self.assertEqual({(line["sequence"], line["hash"]) for line in lines if line["tenant"] != second}, {(wanted["sequence"], wanted["hash"])})
        # What the webhook got is what `verify` takes: an end that was cut off since is found.
        kept = pathlib.Path(self.coffer.home, "kept.json")
        kept.write_text(json.dumps(self.receiver.received[0][2] | {"heads": [{"tenant": next(iter(told)), **wanted}]}), encoding="utf-8")
        words = ["verify", "--dir", self.coffer.folder, "--heads", str(kept)]
        self.assertEqual(self.coffer.command(*words).returncode, 0)
        self.coffer.stop()
        with sqlite3.connect(os.path.join(self.coffer.folder, "store", "coffer.db")) as database:
            database.execute("DELETE FROM audit WHERE tenant = ? AND sequence = ?", (next(iter(told)), wanted["sequence"]))
        database.close()
        found = self.coffer.command(*words, check=False)
        self.assertEqual(found.returncode, 1)
        self.assertIn("audit/%d" % wanted["sequence"], found.stdout)

    def test_a_webhook_that_fails_gets_them_again(self):
        self.start(503, 302, 204)
        received = self.receiver.wait(3)
        self.assertEqual([body["heads"] for _, _, body in received], [received[0][2]["heads"]] * 3)
        self.assertEqual({path for path, _, _ in received}, {received[0][0]})  # no redirect is followed
        failures = [line for line in self.log() if line["message"].startswith("the audit heads could not be sent")]
        self.assertEqual([line["reason"] for line in failures], ["the webhook answered 503", "the webhook answered 302"])
        # Nothing new in the log for what was told already, and no token anywhere.
        self.assertEqual(len([line for line in self.log() if line["message"] == "audit head"]), 1)
        self.assertEqual(canaries.search(pathlib.Path(self.coffer.log).read_bytes(), [TOKEN]), [])
        self.assertEqual(canaries.search_folder(os.path.join(self.coffer.folder, "store"), [TOKEN]), [])
        begun = time.monotonic()
        self.coffer.stop()
        self.assertLess(time.monotonic() - begun, 5)

    def test_never(self):
        self.start(minutes=0)
        time.sleep(7)
        self.assertEqual(self.receiver.received, [])
        self.assertEqual([line for line in self.log() if line["message"] == "audit head"], [])

    def test_a_key_file_that_others_can_read(self):
        self.start()
        self.coffer.stop()
        os.chmod(os.path.join(self.coffer.home, "webhook.key"), 0o644)
        self.coffer.up(wait=False)
        self.assertNotEqual(self.coffer.process.wait(20), 0)
        self.assertIn("webhook.key", pathlib.Path(self.coffer.log).read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
