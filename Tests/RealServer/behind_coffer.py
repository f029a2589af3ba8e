"""Runs an OpenHands agent server with `coffer up` in front of it until SIGTERM:

  behind_coffer.py COFFER PORT

Coffer serves on PORT; the agent server has another port, a session key of its own, another secret key, and its state below
the folders that the environment names. Runs in the environment that environment.sh makes.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
from nginx_harness import end_with_parent, free_port  # noqa: E402

UPSTREAM_KEY = "agent-server-session-key-6c1f"


def agent_server(
    home, port, conversations, log=None, python=sys.executable, secret_key="another-secret-key-of-its-own-0123456789"):  # fmt: skip
    """The running process; it is ready when this returns. Its settings and secrets are below HOME/store."""
    environment = {
        "PATH": str(pathlib.Path(python).parent) + ":/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENHANDS_SUPPRESS_BANNER": "1", "OH_SECRET_KEY": secret_key,
        "OH_SESSION_API_KEYS_0": UPSTREAM_KEY, "OH_PERSISTENCE_DIR": home + "/store", "OH_CONVERSATIONS_PATH": conversations,
        "OH_BASH_EVENTS_DIR": home + "/bash", "OH_ENABLE_VSCODE": "false", "OH_ENABLE_VNC": "false", "TMUX_TMPDIR": home,
    }  # fmt: skip
    process = subprocess.Popen(
        [python, "-m", "openhands.agent_server", "--host", "127.0.0.1", "--port", str(port)],
        env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)  # fmt: skip
    for _ in range(600):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/ready" % port, timeout=5) as answer:
                if answer.status == 200:
                    return process
        except OSError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError("the agent server did not become ready")


def main():
    coffer, port = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="coffer-behind-") as home:
        key = pathlib.Path(home, "agent-server.key")
        key.touch(0o600)
        key.write_text(UPSTREAM_KEY)
        behind = free_port()
        server = agent_server(home, behind, os.environ.get("OH_CONVERSATIONS_PATH", home + "/conversations"))
        front = None
        try:
            front = subprocess.Popen(
                [coffer, "up", "--http", "127.0.0.1:" + port, "--insecure-open", "--dir", home + "/coffer",
                 "--agent-server", "http://127.0.0.1:%d" % behind, "--agent-server-key-file", str(key)],
                stdin=subprocess.DEVNULL, preexec_fn=end_with_parent)  # fmt: skip
            signal.signal(signal.SIGTERM, lambda *_: front.terminate())
            front.wait()
        finally:
            for process in (front, server):
                if process and process.poll() is None:
                    process.terminate()
                    process.wait(20)


if __name__ == "__main__":
    main()
