"""Moving in from hand-made folders of an agent server and out into folders, without one at hand."""

import fcntl
import json
import os
import pathlib
import stat
import tempfile

from coffer_harness import SECRET_SETTINGS, CofferTestCase, at, secret_paths


class MovingTestCase(CofferTestCase):
    def setUp(self):
        super().setUp()
        place = tempfile.TemporaryDirectory(prefix="coffer-folder-")
        self.addCleanup(place.cleanup)
        self.place = place.name

    def folder(self, files):
        """A folder with these files; text as it is, anything else as JSON."""
        for name, content in files.items():
            path = pathlib.Path(self.place, "in", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return self.place + "/in"

    def take(self, coffer, folder, *options, **more):
        return coffer.command("import", "openhands", folder, "--dir", coffer.folder, *options, **more)

    def client_of(self, coffer):
        ask = coffer.client()
        self.addCleanup(ask.close)
        return ask

    def plaintext(self, ask):
        document = ask("GET", "/api/settings", headers={"X-Expose-Secrets": "plaintext"}).json()
        document["agent_settings"]["agent_context"].pop("current_datetime", None)
        return document


class ImportTests(MovingTestCase):
    def test_a_large_folder_goes_through_the_control_socket(self):
        """5 MB of secrets while cofferd serves, five times what a request through nginx may bring."""
        values = {"BIG_%d" % number: "%04d" % number * 15000 for number in range(84)}
        folder = self.folder({"secrets.json": {"custom_secrets": {name: {"name": name, "secret": value} for name, value in values.items()}}})
        self.assertGreater(os.stat(folder + "/secrets.json").st_size, 5_000_000)
        coffer = self.fresh()
        self.take(coffer, folder)
        ask = self.client_of(coffer)
        for name, value in values.items():
            self.assertEqual(self.value(name, ask), value.encode())

    def test_offline_as_well_with_our_own_tokens(self):
        """No cofferd runs; the tokens are under the wire key of this very store, which the environment does not name."""
        coffer = self.fresh(environment={})
        ask = self.client_of(coffer)
        ask("PATCH", "/api/settings", {"agent_settings_diff": SECRET_SETTINGS})
        token = ask("GET", "/api/settings", headers={"X-Expose-Secrets": "encrypted"}).json()["agent_settings"]["llm"]["api_key"]
        self.assertTrue(token.startswith("gAAAAA"))
        ask.close()
        coffer.stop()
        self.take(coffer, self.folder({"secrets.json": {"custom_secrets": {"OURS": token}}}))
        coffer.up()
        self.assertEqual(self.value("OURS", ask), b"value-llm-api-key")

    def test_older_shapes(self):
        """Layout 1 without misc settings, an agent of version 1 of the retired kind, MCP servers in their wrapper."""
        agent = {
            "schema_version": 1, "agent_kind": "llm",
            "llm": {"model": "litellm_proxy/gpt-5.2", "base_url": "https://llm-proxy.app.all-hands.dev/", "api_key": "value-old"},
            "verification": {"confirmation_mode": True, "critic_enabled": True, "critic_api_key": "value-critic"},
            "mcp_config": {"mcpServers": {"web": {"url": "https://mcp.example.com", "type": "shttp", "api_key": "value-mcp", "gone": 1},
                                          "local": {"command": "npx", "env": {"TOKEN": "value-env"}}}},
        }  # fmt: skip
        for version in (None, 0, 1):
            with self.subTest(version):
                coffer = self.fresh()
                settings = {"agent_settings": agent, "conversation_settings": {"max_iterations": 7}}
                if version is not None:
                    settings["schema_version"] = version
                self.take(coffer, self.folder({"settings.json": settings}))
                found = self.plaintext(self.client_of(coffer))["agent_settings"]
                self.assertEqual((found["agent_kind"], found["schema_version"]), ("openhands", 5))
                self.assertEqual((found["llm"]["model"], found["llm"]["base_url"]), ("openhands/gpt-5.2", None))
                self.assertEqual((found["llm"]["api_key"], found["verification"]["critic_api_key"]), ("value-old", "value-critic"))
                self.assertEqual(found["mcp_config"]["web"]["auth"], {"strategy": "api_key", "value": "value-mcp"} | {
                    key: value for key, value in found["mcp_config"]["web"]["auth"].items() if key not in ("strategy", "value")})  # fmt: skip
                self.assertEqual(found["mcp_config"]["web"]["transport"], "http")
                self.assertEqual(found["mcp_config"]["local"]["env"], {"TOKEN": "value-env"})
                coffer.stop()

    def test_what_cannot_be_read_stops_everything(self):
        for files, text in (
            ({"secrets.json": '{"custom_secrets": '}, "secrets.json is no JSON from byte 19 on"),
            ({"secrets.json": '{"custom_secrets": {}} \xff'}, "is no JSON"),
            ({"settings.json": {"schema_version": 3}}, "cannot be read: settings.json"),
            ({"settings.json": {"agent_settings": "text"}}, "cannot be read: settings.json"),
            ({"secrets.json": {"custom_secrets": {"GOOD": "v", "not good": "v"}}}, "cannot be read: secrets.json#/custom_secrets/not good"),
            ({"profiles/x.json": {"model": "m"}}, "holds neither settings.json nor secrets.json"),
        ):
            with self.subTest(text):
                for path in pathlib.Path(self.place).rglob("*.json"):
                    path.unlink()
                result = self.take(self.coffer, self.folder(files), check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn(text, result.stdout + result.stderr)
        self.assertEqual(self.ask("GET", "/api/settings/secrets").json()["secrets"], [])

    def test_a_writing_agent_server_is_noticed(self):
        folder = self.folder({"secrets.json": {"custom_secrets": {}}, ".secrets.lock": ""})
        with open(folder + "/.secrets.lock", "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            refused = self.take(self.coffer, folder, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(".secrets.lock", refused.stderr)
            self.take(self.coffer, folder, "--force")
        self.take(self.coffer, folder)


class ExportTests(MovingTestCase):
    def fill(self, ask):
        ask("PATCH", "/api/settings", {"agent_settings_diff": SECRET_SETTINGS, "misc_settings_diff": {"theme": "därk"}})
        for name, value in (("ONE", "value-one"), ("EMPTY", ""), ("TOKEN", "gAAAAAvalue-that-looks-like-one"), ("BLANK", " \n")):
            self.put(name, value, ask, description="of " + name)
        made = ask("POST", "/api/llm/provider-connections", {"display_name": "W", "api_key": "value-shared"}).json()
        ask("POST", "/api/profiles/own", {"llm": {"model": "m", "api_key": "value-own", "extra_headers": {"Authorization": "value-h"}}})
        ask("POST", "/api/profiles/linked", {"llm": {"model": "m", "provider_connection_id": made["id"]}})
        ask("POST", "/api/agent-profiles/coder", {"llm_profile_ref": "own"})
        ask("POST", "/api/workspaces", {"workspaces": [{"id": "1", "name": "w", "path": "/w"}]})

    def everything(self, ask):
        found = {path: ask("GET", path).json() for path in (
            "/api/profiles", "/api/agent-profiles/coder", "/api/llm/provider-connections", "/api/workspaces", "/api/settings/secrets")}  # fmt: skip
        for name in ("own", "linked"):
            found[name] = ask("GET", "/api/profiles/" + name, headers={"X-Expose-Secrets": "plaintext"}).json()
        for entry in found["/api/settings/secrets"]["secrets"]:
            found[entry["name"]] = self.value(entry["name"], ask)
        return found | {"settings": self.plaintext(ask)}

    def out(self, coffer, folder, *options, **more):
        return coffer.command("export", "openhands", folder, "--dir", coffer.folder, *options, **more)

    def test_there_and_back(self):
        """import(export(x)) = x, with cofferd and without, under the wire key and under another."""
        source = self.fresh()
        self.fill(self.client_of(source))
        before = self.everything(self.client_of(source))
        self.assertEqual(before["TOKEN"], b"gAAAAAvalue-that-looks-like-one")
        key = self.place + "/key"
        pathlib.Path(key).write_text("another key for the folder\n")
        ways = {"wire": [], "other": ["--key-file", key]}
        for name, options in ways.items():
            self.out(source, self.place + "/served-" + name, *options)
        source.stop()
        for name, options in ways.items():
            self.out(source, self.place + "/offline-" + name, *options)
        entries = [entry for entry in source.audit() if entry["action"] == "export.openhands"]
        self.assertEqual(len(entries), 4)
        for path in secret_paths():
            self.assertEqual(at(before["settings"]["agent_settings"], path), at(SECRET_SETTINGS, path))
        for folder in (way + name for way in ("served-", "offline-") for name in ways):
            with self.subTest(folder):
                for path in pathlib.Path(self.place, folder).rglob("*"):
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700 if path.is_dir() else 0o600)
                    if path.is_file():
                        self.assertNotIn("value-", path.read_text())
                target = self.fresh()
                self.take(target, self.place + "/" + folder, *ways[folder.split("-")[1]])
                self.assertEqual(self.everything(self.client_of(target)), before)
                target.stop()

    def test_a_folder_that_is_there_is_kept(self):
        folder = self.place + "/out"
        os.mkdir(folder)
        self.out(self.coffer, folder)
        first = pathlib.Path(folder, "secrets.json").read_text()
        refused = self.out(self.coffer, folder, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is not empty", refused.stderr)
        self.put("MORE", "value-more")
        self.addCleanup(self.ask, "DELETE", "/api/settings/secrets/MORE")
        result = self.out(self.coffer, folder, "--force")
        self.assertIn("MORE", pathlib.Path(folder, "secrets.json").read_text())
        (kept,) = [path for path in pathlib.Path(self.place).iterdir() if path.name.startswith("out.before-")]
        self.assertIn(str(kept), result.stdout)
        self.assertEqual((kept / "secrets.json").read_text(), first)
        self.assertEqual(sorted(path.name for path in pathlib.Path(self.place).iterdir()), sorted(["out", kept.name]))

    def test_nothing_is_left_of_a_refused_one(self):
        """Asked for a tenant that is not there, or with a key file that is empty; and it is never asked for through nginx."""
        entries = len(self.coffer.audit())
        empty = self.place + "/empty"
        pathlib.Path(empty).write_text("\n")
        for options in (["--tenant", "ten_unknown"], ["--key-file", empty], ["--key-file", self.place + "/missing"]):
            self.assertEqual(self.out(self.coffer, self.place + "/out", *options, check=False).returncode, 1)
        self.assertEqual(os.listdir(self.place), ["empty"])
        self.assertEqual(len(self.coffer.audit()), entries)
        admin = [("Authorization", "Bearer " + self.coffer.keys["adminKey"])]
        answer = self.ask("POST", "/admin/v1/tenants/default/export/openhands", {}, headers=admin, key=None)
        self.assertEqual(answer.status, 404)


