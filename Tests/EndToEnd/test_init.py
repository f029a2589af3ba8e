"""`coffer init` and what `coffer up` writes: modes, refusals, nothing left of a failed attempt, the configuration of nginx."""

import json
import os
import pathlib
import re
import resource
import socket
import stat
import subprocess
import tempfile
import time
import unittest

from coffer_harness import Coffer, binaries, running
from contract_harness import Operator
from nginx_harness import ROOT, free_port

GOLDEN = pathlib.Path(__file__).with_name("Golden")


class InitTests(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="coffer-test-")
        self.addCleanup(self.home.cleanup)
        self.folder = os.path.join(self.home.name, "store")

    def coffer(self, *words):
        environment = {"PATH": os.environ["PATH"], "HOME": self.home.name}
        return subprocess.run([str(binaries() / "coffer"), *words], capture_output=True, text=True, env=environment, timeout=60, check=False)

    def mode(self, part):
        return stat.S_IMODE(os.stat(os.path.join(self.folder, part)).st_mode)

    def test_everything_is_closed_to_others(self):
        made = self.coffer("init", "--dir", self.folder, "--json")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(sorted(json.loads(made.stdout)), ["adminKey", "sessionKey"])
        wanted = {"": 0o700, "keys": 0o700, "keys/root.key": 0o400, "keys/wire.key": 0o400, "store": 0o700, "store/coffer.db": 0o600,
                  "coffer.conf": 0o600}  # fmt: skip
        self.assertEqual({part: self.mode(part) for part in wanted}, wanted)

    def test_the_configuration_lists_every_setting(self):
        self.coffer("init", "--dir", self.folder)
        self.assertEqual(pathlib.Path(self.folder, "coffer.conf").read_text(), (ROOT / "conf" / "coffer.conf").read_text())

    def test_a_second_init_is_refused_and_changes_nothing(self):
        self.coffer("init", "--dir", self.folder)
        before = {path: path.read_bytes() for path in pathlib.Path(self.folder).rglob("*") if path.is_file()}
        again = self.coffer("init", "--dir", self.folder)
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("initialised already", again.stderr)
        self.assertEqual({path: path.read_bytes() for path in pathlib.Path(self.folder).rglob("*") if path.is_file()}, before)

    def test_a_directory_that_others_can_change_is_refused(self):
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)
        refused = self.coffer("init", "--dir", self.folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("chmod 0700", refused.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_failed_init_leaves_no_keys_and_can_be_repeated(self):
        os.makedirs(self.folder + "/store")
        pathlib.Path(self.folder, "store", "coffer.lock").mkdir()
        failed = self.coffer("init", "--dir", self.folder)
        self.assertNotEqual(failed.returncode, 0)
        self.assertEqual(os.listdir(self.folder + "/keys"), [])
        pathlib.Path(self.folder, "store", "coffer.lock").rmdir()
        self.assertEqual(self.coffer("init", "--dir", self.folder).returncode, 0)

    def test_a_file_that_cannot_be_met_makes_no_store(self):
        file = pathlib.Path(self.home.name, "declared.json")
        for tenant in (
            {"settings": {"maxTeams": 1}, "teams": ["a", "b"]}, {"teams": ["t%d" % number for number in range(51)]},
            {"teams": ["t"], "agents": [{"name": "a", "memberships": [{"team": "t", "role": "reader", "expiresAt": "2020-01-01T00:00:00Z"}]}]},
        ):  # fmt: skip
            file.write_text(json.dumps({"tenants": [{"name": "default", **tenant}]}))
            refused = self.coffer("init", "--from", str(file), "--dir", self.folder)
            self.assertEqual((refused.returncode, refused.stdout), (1, ""), refused.stderr)
            self.assertFalse(os.path.exists(self.folder))

    def test_wrong_usage_has_a_code_of_its_own(self):
        for words in (["init", "--nonsense"], ["up", "--insecure-open"], ["key", "create", "--expires", "soon"], ["nonsense"]):
            self.assertEqual(self.coffer(*words).returncode, 64, words)
        self.assertEqual(self.coffer("key", "list", "--dir", self.folder).returncode, 1)

    def test_the_version_is_one(self):
        version = self.coffer("--version").stdout.strip()
        self.assertIn("## %s\n" % version, (ROOT / "CHANGELOG.md").read_text().replace("Unreleased", version))
        self.assertRegex(version, r"^[0-9]+\.[0-9]+\.[0-9]+$")


class StartTests(unittest.TestCase):
    """What may go wrong with `coffer up`."""

    def setUp(self):
        self.coffer = Coffer()
        self.addCleanup(self.coffer.destroy)

    def start(self, folder, port, **more):
        words = [str(binaries() / "coffer"), "up", "--dir", folder, "--http", "127.0.0.1:%d" % port]
        return subprocess.Popen(words, env={"PATH": os.environ["PATH"]}, text=True, **more)

    def failed(self, folder, port):
        process = self.start(folder, port, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        return output, errors

    def test_a_first_start_that_fails_shows_the_keys(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            output, errors = self.failed(self.coffer.folder, taken.getsockname()[1])
        self.assertIn("nginx did not start", errors)
        keys = re.findall(r"\badk_\w+", output)
        self.assertEqual(len(keys), 1, "no key was shown")
        self.coffer.up()
        operator = Operator(self.coffer, keys[0])
        self.addCleanup(operator.close)
        self.assertEqual([row["name"] for row in operator("GET", "/tenants")], ["default"])

    def test_a_second_start_changes_nothing(self):
        self.coffer.init()
        self.coffer.up()
        run = pathlib.Path(self.coffer.folder, "run")
        before = {name: (run / name).read_bytes() for name in ("nginx.conf", "cofferd.pid", "nginx.pid")}
        _, errors = self.failed(self.coffer.folder, self.coffer.port + 1)
        self.assertIn("is served already", errors)
        self.assertEqual({name: (run / name).read_bytes() for name in before}, before)
        self.assertEqual(self.coffer.command("restart", "--dir", self.coffer.folder).returncode, 0)
        client = self.coffer.client()
        self.addCleanup(client.close)
        self.assertEqual(client("GET", "/api/settings").status, 200)

    def test_nobody_reads_what_it_prints(self):
        """A closed pipe ends no supervisor: its children would be left behind."""
        self.coffer.init()
        process = self.start(self.coffer.folder, free_port(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.close()
        deadline = time.monotonic() + 30
        while not os.path.exists(self.coffer.folder + "/run/nginx.pid"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        responder = int(pathlib.Path(self.coffer.folder, "run", "cofferd.pid").read_text())
        process.terminate()
        self.assertEqual(process.wait(30), 0)
        self.assertFalse(running(responder))


class NginxFileTests(unittest.TestCase):
    """The main file that `coffer up` writes, compared with the one that was reviewed."""

    def rendered(self, tls):
        coffer = Coffer(tls=tls)
        self.addCleanup(coffer.destroy)
        coffer.init()
        coffer.up()
        self.assertNotIn("[alert]", coffer.output(), "nginx complains")
        text = pathlib.Path(coffer.folder, "run", "nginx.conf").read_text()
        text = text.replace("user root;\n", "").replace(coffer.folder, "@dir@").replace(str(coffer.port), "@port@")
        return re.sub(r"include [^ ]*/coffer-server.conf", "include @shared@/coffer-server.conf", text)

    def golden(self, name):
        """With as many descriptors as this machine lets a process have."""
        room = min(40_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] % 2**63)
        text = (GOLDEN / name).read_text().replace("worker_rlimit_nofile 40000", "worker_rlimit_nofile %d" % room)
        return text.replace("worker_connections 16384", "worker_connections %d" % min(16_384, room // 2))

    def test_plain(self):
        self.assertEqual(self.rendered(tls=False), self.golden("nginx-http.conf"))

    def test_tls(self):
        self.assertEqual(self.rendered(tls=True), self.golden("nginx-https.conf"))
