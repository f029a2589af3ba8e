"""Conversations of a real OpenHands agent server through Coffer, with a model that is scripted. Runs in the environment that
Tests/RealServer/environment.sh makes, not with the system's Python."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

os.environ["OPENHANDS_SUPPRESS_BANNER"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from coffer_harness import SECRET_KEY, Coffer  # noqa: E402
from nginx_harness import ROOT, free_port  # noqa: E402

sys.path[:0] = [str(ROOT / "Tests" / "RealServer"), str(ROOT / "Tests" / "Conformance")]
from behind_coffer import UPSTREAM_KEY, agent_server  # noqa: E402
from mock_llm import MockLLM  # noqa: E402


class RealConversationTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        home = tempfile.TemporaryDirectory(prefix="coffer-real-")
        cls.addClassCleanup(home.cleanup)
        cls.work = home.name
        port = free_port()
        log = open(home.name + "/log", "wb")
        cls.addClassCleanup(log.close)
        server = agent_server(home.name, port, home.name + "/conversations", log)
        cls.addClassCleanup(server.wait, 30)
        cls.addClassCleanup(server.terminate)
        cls.coffer = Coffer(environment={"OH_SECRET_KEY": SECRET_KEY})
        cls.addClassCleanup(cls.coffer.destroy)
        cls.coffer.init()
        key = pathlib.Path(cls.coffer.home, "agent.key")
        key.touch(0o600)
        key.write_text(UPSTREAM_KEY)
        with open(os.path.join(cls.coffer.folder, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("conversation-secrets = lookup\n")
        cls.coffer.options = ["--agent-server", "http://127.0.0.1:%d" % port, "--agent-server-key-file", str(key)]
        cls.coffer.up()

    def test_the_example_passes(self):
        result = subprocess.run(
            [sys.executable, str(ROOT / "Tests" / "Conformance" / "example_flow.py"), "http://127.0.0.1:%d" % self.coffer.port,
             "--session-key", self.coffer.keys["sessionKey"], "--workdir", self.work],
            capture_output=True, text=True, timeout=200, check=False)  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stdout[-2000:] + result.stderr[-2000:])
        self.assertIn("all steps passed", result.stdout)

    def test_the_client_library_runs_a_conversation(self):
        """RemoteConversation, unchanged: it waits for the socket's first event, with its key in the first frame, and then for more."""
        from openhands.sdk import LLM, Agent, RemoteConversation
        from openhands.sdk.workspace import RemoteWorkspace

        model = MockLLM().start()
        self.addCleanup(model.stop)
        backend = self.coffer.client()
        self.addCleanup(backend.close)
        agent = Agent(llm=LLM(model="openai/gpt-4o", api_key="value-model-key", base_url=model.url + "/v1", usage_id="test"), tools=[])
        workspace = RemoteWorkspace(
            host="http://127.0.0.1:%d" % self.coffer.port, api_key=self.coffer.create_key("frontend"), working_dir=self.work)  # fmt: skip
        seen = []
        conversation = RemoteConversation(agent=agent, workspace=workspace, callbacks=[seen.append], visualizer=None)
        try:
            conversation.send_message("Say hello.")
            conversation.run(timeout=60)
            self.assertEqual(conversation.state.execution_status.value, "finished")
            self.assertIn("MessageEvent", {type(event).__name__ for event in seen})
        finally:
            conversation.close()
        self.assertEqual(set(model.state.keys), {"Bearer value-model-key"})
        text = self.coffer.command("metrics", "--dir", self.coffer.folder).stdout
        self.assertRegex(text, r"\ncoffer_sockets_opened_total [1-9]")

    def test_an_agent_looks_up_what_a_frontend_brought(self):
        """With a key that reads no plaintext: an agent profile's model and a value of the frontend's reach the agent's shell."""
        model = MockLLM().start()
        self.addCleanup(model.stop)
        backend = self.coffer.client()
        frontend = self.coffer.client(self.coffer.create_key("frontend"))
        self.addCleanup(backend.close)
        self.addCleanup(frontend.close)
        llm = {"model": "openai/gpt-4o", "api_key": "value-model-key", "base_url": model.url + "/v1"}
        self.assertEqual(backend("POST", "/api/profiles/work", {"llm": llm}).status, 201)
        self.assertEqual(backend("POST", "/api/agent-profiles/coder", {"llm_profile_ref": "work", "tools": [{"name": "terminal"}]}).status, 201)
        profile = frontend("GET", "/api/agent-profiles/coder").json()["profile"]["id"]
        ask = {"role": "user", "content": [{"type": "text", "text": "Echo $MY_PROJECT_TOKEN and say YES if it has a value, else NO."}], "run": True}
        started = frontend("POST", "/api/conversations", {
            "agent_profile_id": profile, "workspace": {"working_dir": self.work}, "initial_message": ask,
            "secrets": {"MY_PROJECT_TOKEN": {"kind": "StaticSecret", "value": "value-brought"}}})  # fmt: skip
        self.assertEqual(started.status, 201, started.body[:500])
        self.assertNotIn(b"value-", started.body)
        conversation = "/api/conversations/" + started.json()["id"]
        for _ in range(300):
            status = frontend("GET", conversation).json()["execution_status"]
            if status not in ("idle", "running"):
                break
            time.sleep(0.2)
        self.assertEqual(status, "finished")
        self.assertEqual(frontend("GET", conversation + "/agent_final_response").json(), {"response": "YES"})
        self.assertEqual(set(model.state.keys), {"Bearer value-model-key"})
        reads = [entry for entry in self.coffer.audit() if entry["action"] == "secret.read" and started.json()["id"] in json.dumps(entry)]
        self.assertEqual({entry["secretId"] for entry in reads}, {"MY_PROJECT_TOKEN"})
        # What the agent server keeps on disk holds the address and a token, not the value.
        for path in pathlib.Path(self.work, "conversations").rglob("*.json"):
            self.assertNotIn("value-brought", path.read_text(), path)
        self.assertEqual(frontend("DELETE", conversation).status, 200)


if __name__ == "__main__":
    unittest.main()
