"""`coffer env`: what it writes is read back by real programs as it was, or refused; and .env files taken in as one secret."""

import io
import json
import os
import random
import shutil
import string
import subprocess
import tempfile
import unittest

from clients_harness import NODE, CommandLine
from scoped_harness import ScopedTestCase

try:
    import dotenv
except ImportError:
    dotenv = None

COUNT = int(os.environ.get("COFFER_VALUES", "500"))
FIELDS = 60  # of one secret; 64 is the server's limit
FORMATS = ("dotenv", "json", "shell", "docker", "systemd")

# Pieces that mean something to one reader or another.
PIECES = [
    "'", '"', "\\", "\\\\", "\\n", "\\r", "\\'", '\\"', "$", "${HOME}", "$HOME", "${", "}", "$(id)", "`id`", "`", "#", " #", "# ", "=", ";", "&", "|",
    "!", "!!", "~", "*", "?", "[a]", "{a,b}", "<", ">", "(", ")", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\x00", "\x01", "\x1b[0m", "\x7f",
    "\x81", "\x85", "\xa0", "\u2028", "\ufeff", "\ufffe", "\U0001f600", "é", "e\u0301", "\U0010ffff", "export A=", "A=b", "\nB=c", "%s", "%%", "-", "-n",
    "0", "null", "true", ":", "- ", "@", ",", "/", "a", "word", "sk-test-0123456789", "{\"a\": [1]}",
]  # fmt: skip


def generated(count, seed):
    """Texts of pieces and of any characters, many of them short; the empty one too."""
    source = random.Random(seed)
    values = [""]
    while len(values) < count:
        if source.random() < 0.8:
            values.append("".join(source.choice(PIECES) for _ in range(source.randrange(1, 7))))
        elif source.random() < 0.9:
            values.append("".join(source.choice(string.ascii_letters + string.digits + "+/=_-.") for _ in range(source.randrange(1, 80))))
        else:
            values.append("".join(chr(source.choice([*range(0, 0xD800), *range(0xE000, 0x10000)])) for _ in range(source.randrange(1, 9))))
    return values


def says(format, value):
    """Whether a format has words for a value: from its readers' documentation, not from what `coffer` does."""
    if format == "json":
        return True
    if "\0" in value:
        return False
    if format == "docker":
        return "\n" not in value and "\r" not in value
    if format == "systemd":  # systemd.exec(5): Unicode scalar values but noncharacters and U+FEFF
        return not any(c == 0xFEFF or 0xFDD0 <= c <= 0xFDEF or c & 0xFFFE == 0xFFFE for c in map(ord, value))
    if format == "dotenv":
        single = "'" not in value and "\\\\" not in value and not value.endswith("\\") and "${" not in value
        return "\r" not in value and (single or not set('"\\$`') & set(value))
    return True


def read_by_shell(shell):
    def read(text):
        """The variables after `eval "$(…)"` in that shell, which starts with an empty environment."""
        script = 'eval "$(cat)"; exec /usr/bin/env -0'
        result = subprocess.run([shell, "-c", script], input=text, capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=120, check=False)
        if result.returncode != 0 or result.stderr:
            raise AssertionError("%s: %s" % (shell, result.stderr[-300:]))
        pairs = [entry.split(b"=", 1) for entry in result.stdout.split(b"\0") if entry]
        return {name.decode(): value.decode() for name, value in pairs if name.startswith(b"V_")}

    return read


def read_by_python(text):
    """python-dotenv, with its default of replacing ${…}."""
    return dict(dotenv.dotenv_values(stream=io.StringIO(text.decode(), newline=None)))


def read_by_node(text):
    """Node's own reader of --env-file."""
    script = "process.stdout.write(JSON.stringify(require('util').parseEnv(require('fs').readFileSync(0, 'utf8'))))"
    return json.loads(subprocess.run([NODE, "-e", script], input=text, capture_output=True, timeout=120, check=True).stdout)


def read_by_docker(text):
    """`docker run --env-file`, by its documentation and the reader behind it: lines of at most 64 KiB with their end, blanks before
    a line cut off, comments and empty lines passed over, everything behind the first `=` taken as it is."""
    found = {}
    for line in text.decode().removesuffix("\n").split("\n"):
        assert len(line.encode()) < 65536
        line = line.removesuffix("\r").lstrip()
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = value
    return found


def read_by_systemd(text):
    """EnvironmentFile=, by systemd.exec(5), for values in double quotes: a backslash before one of "\\`$ makes it itself, one at a
    line's end joins the lines, and before another character it stays."""
    found, rest = {}, text.decode()
    while rest:
        name, rest = rest.split('="', 1)
        value, at = "", 0
        while rest[at] != '"':
            if rest[at] == "\\":
                value += rest[at + 1] if rest[at + 1] in '"\\`$' else "" if rest[at + 1] == "\n" else rest[at : at + 2]
                at += 2
            else:
                value += rest[at]
                at += 1
        assert rest[at + 1] == "\n"
        found[name], rest = value, rest[at + 2 :]
    return found


def node_reads_files():
    if not NODE:
        return False
    return subprocess.run([NODE, "-e", "require('util').parseEnv('')"], capture_output=True, check=False).returncode == 0


READERS = {
    "json": {"python": json.loads},
    "shell": {name: read_by_shell(name) for name in ("sh", "bash", "dash", "ksh", "zsh") if shutil.which(name)},
    "dotenv": {**({"python-dotenv": read_by_python} if dotenv else {}), **({"node": read_by_node} if node_reads_files() else {})},
    "docker": {"rules": read_by_docker},
    "systemd": {"rules": read_by_systemd},
}


class EnvironmentTestCase(ScopedTestCase):
    options = ("--insecure-open",)

    def setUp(self):
        super().setUp()
        self.made = self.agent("builder")
        self.line = CommandLine("http://127.0.0.1:%d" % self.coffer.port, self.made.key)

    def stored(self, values, name):
        """Plaintext fields V_0… of secrets of 60 fields; the arguments that name the secrets."""
        arguments = []
        for start in range(0, len(values), FIELDS):
            secret = "%s-%d" % (name, start)
            fields = [{"key": "V_%d" % (start + at), "sensitivity": "plaintext", "value": value}
                      for at, value in enumerate(values[start : start + FIELDS])]  # fmt: skip
            self.made.call("PUT", self.made.path(secret), {"fields": fields})
            arguments += ["--secret", secret + ":"]
        return arguments

    def values(self, secret):
        """The values of a secret's fields, sealed ones opened."""
        data = self.made.call("GET", self.made.path(secret))
        keys = [field["fieldKey"] for field in data["aggregate"]["fields"]]
        return {key: self.line.run("get", secret, key) for key in keys}

    def file(self, text):
        folder = tempfile.mkdtemp(prefix="coffer-env-")
        self.addCleanup(shutil.rmtree, folder, True)
        path = os.path.join(folder, ".env")
        with open(path, "wb") as file:
            file.write(text)
        return path


class ExportTests(EnvironmentTestCase):
    def test_generated_values_are_read_as_they_were(self):
        seed = random.randrange(1 << 32)
        values = generated(COUNT, seed)
        for format in FORMATS:
            said = [value for value in values if says(format, value)]
            self.assertGreater(len(said), COUNT // 4)
            arguments = self.stored(said, format)
            text = self.line.run("env", "export", "--format", format, *arguments)
            self.assertGreater(len(READERS[format]), 0, "no reader of %s is installed" % format)
            for reader, read in READERS[format].items():
                with self.subTest(format=format, reader=reader, seed=seed):
                    found = read(text)
                    wrong = [at for at, value in enumerate(said) if found.get("V_%d" % at) != value]
                    self.assertEqual([(said[at], found.get("V_%d" % at)) for at in wrong[:3]], [])
                    self.assertEqual(len(found), len(said))

    def test_what_a_format_cannot_say_is_refused(self):
        seed = random.randrange(1 << 32)
        values = generated(5000, seed)
        for format in FORMATS:
            unsaid = [value for value in values if not says(format, value)][:6]
            self.assertEqual(len(unsaid), 0 if format == "json" else 6)
            for value in unsaid:
                with self.subTest(format=format, value=value, seed=seed):
                    self.made.call("PUT", self.made.path("odd"), {"fields": [{"key": "x", "sensitivity": "plaintext", "value": value}]})
                    said = self.line.run("env", "export", "--format", format, "--secret", "odd", status=2)
                    self.assertIn("ODD_X holds ", said)
                    if len(value) > 3:
                        self.assertNotIn(value, said)
                    self.line.run("rm", "odd")

    def test_bytes_go_through_a_shell_and_nothing_else(self):
        value = bytes(range(1, 256))
        self.line.run("set", "blob", "all", "--exact", input=value)
        for shell in READERS["shell"]:
            text = self.line.run("env", "export", "--format", "shell", "--secret", "blob")
            script = 'eval "$(cat)"; printf %s "$BLOB_ALL"'
            read = subprocess.run([shell, "-c", script], input=text, capture_output=True, env={"LC_ALL": "C"}, timeout=60, check=True)
            self.assertEqual(read.stdout, value, shell)
        for format in set(FORMATS) - {"shell"}:
            self.line.run("env", "export", "--format", format, "--secret", "blob", status=2)

    def test_names_are_those_of_run(self):
        self.stored(["one"], "acme-api")
        self.assertEqual(self.line.run("env", "export", "--format", "docker", "--secret", "acme-api-0"), b"ACME_API_0_V_0=one\n")
        self.assertEqual(self.line.run("env", "export", "--format", "docker", "--secret", "acme-api-0:CI_"), b"CI_V_0=one\n")
        same = self.line.run("run", "--secret", "acme-api-0", "--", "sh", "-c", "printf %s $ACME_API_0_V_0")
        self.assertEqual(same, b"one")
        self.line.run("env", "export", "--format", "json", "--secret", "acme-api-0:", "--secret", "acme-api-0:", status=6)
        self.line.run("env", "export", "--format", "yaml", "--secret", "acme-api-0", status=2)


class ImportTests(EnvironmentTestCase):
    FILE = b"# settings\nexport TOKEN='sk test'\nEMPTY=\nurl.base=https://x.example/?a=b # where\nLINES=\"one\\ntwo\"\n"
    READ = {"TOKEN": b"sk test", "EMPTY": b"", "url.base": b"https://x.example/?a=b", "LINES": b"one\ntwo"}

    def test_file_becomes_one_secret(self):
        path = self.file(self.FILE)
        said = self.line.run("env", "import", path, "--secret", "app", "--dry-run").decode()
        self.assertEqual(said.splitlines(), ["adds " + name for name in self.READ])
        self.made.call("GET", self.made.path("app"), status=404)
        self.line.run("env", "import", path, "--secret", "app")
        self.assertEqual(self.values("app"), self.READ)
        fields = self.made.call("GET", self.made.path("app"))["aggregate"]["fields"]
        self.assertEqual({field["sensitivity"] for field in fields}, {"encrypted"})
        actions = [row["action"] for row in self.made.call("GET", self.made.path("app") + "/history")]
        self.assertEqual(actions.count("secret.created"), 1)

    def test_repeated_import_replaces_and_keeps(self):
        self.made.call("PUT", self.made.path("app"), {"secretName": "The app", "category": "config", "tags": ["prod"], "fields": [
            {"key": "OTHER", "sensitivity": "plaintext", "value": "stays"}, {"key": "TOKEN", "sensitivity": "plaintext", "value": "old"}]})  # fmt: skip
        said = self.line.run("env", "import", self.file(self.FILE), "--secret", "app").decode().splitlines()
        self.assertEqual(said, ["replaces TOKEN", "adds EMPTY", "adds url.base", "adds LINES", "keeps OTHER"])
        self.assertEqual(self.values("app"), {**self.READ, "OTHER": b"stays"})
        aggregate = self.made.call("GET", self.made.path("app"))["aggregate"]
        self.assertEqual((aggregate["secretName"], aggregate["category"], aggregate["tags"]), ("The app", "config", ["prod"]))
        self.assertEqual(aggregate["revision"], 2)

    def test_plaintext_only_when_said(self):
        self.line.run("env", "import", self.file(b"LEVEL=debug"), "--secret", "app", "--plaintext")
        (field,) = self.made.call("GET", self.made.path("app"))["aggregate"]["fields"]
        self.assertEqual((field["sensitivity"], field["value"]), ("plaintext", "debug"))

    def test_doubtful_line_refuses_all(self):
        for line, reason in [(b'B="a\\tb"', "backslash"), (b"B=$HOME", "replace"), (b"B", "no ="), (b"B=canary-1#x", "comment"), (b"A=canary-1", "before"),
                             (b"B='canary-1", "not closed")]:  # fmt: skip
            with self.subTest(line):
                said = self.line.run("env", "import", self.file(b"A=1\n" + line + b"\n"), "--secret", "app", status=2)
                self.assertIn("line 2: ", said)
                self.assertIn(reason, said)
                self.assertNotIn("canary-1", said)
        self.made.call("GET", self.made.path("app"), status=404)

    @unittest.skipUnless(dotenv and node_reads_files(), "needs python-dotenv and a Node that reads .env files")
    def test_what_is_taken_is_what_its_readers_read(self):
        """Generated lines, in quotes and without: one that is taken has the value that both readers give it."""
        seed = random.randrange(1 << 32)
        source = random.Random(seed)
        wanted = {}
        for at in range(COUNT // 5):
            value = "".join(source.choice(PIECES) for _ in range(source.randrange(0, 4)))
            quote = source.choice(["", "'", '"'])
            begin = source.choice(["", "", "", "export ", " ", "\t", "export\t"])
            end = source.choice(["", "", "", " # x", "#x", " ", "\t", "\t# x"])
            line = begin + "V_%d" % at + source.choice(["=", "=", " = ", "\t=", "=\t"]) + quote + value + quote + end
            before = source.choice(["", "", "", "\n", " \n", "\t\n", "\r\n", "# x='y\n"])
            text = (before + line + source.choice(["\n", "\n", "\r\n"]) + "LAST=1\n").encode()
            path = self.file(text)
            try:
                self.line.run("env", "import", path, "--secret", "taken-%d" % (at // FIELDS), "--plaintext")
            except AssertionError as refused:
                self.assertIn("env: 2: ", str(refused), (text, seed))
                continue
            wanted["V_%d" % at] = text
        self.assertGreater(len(wanted), COUNT // 50)
        found = {}
        for row in self.made.call("GET", self.made.path()):
            fields = self.made.call("GET", self.made.path(row["secretId"]))["aggregate"]["fields"]
            found.update({field["fieldKey"]: field["value"] for field in fields})
        for name, text in wanted.items():
            with self.subTest(text=text, seed=seed):
                self.assertEqual([read(text)[name] for read in (read_by_python, read_by_node)], [found[name]] * 2)
                # Node 20 takes an indented comment behind an empty line for part of the next name.
                self.assertEqual(read_by_python(text)["LAST"], "1")

    def test_what_is_exported_is_imported(self):
        values = [value for value in generated(FIELDS, random.randrange(1 << 32)) if says("dotenv", value)]
        text = self.line.run("env", "export", "--format", "dotenv", *self.stored(values, "source"))
        self.line.run("env", "import", self.file(text), "--secret", "copy")
        again = self.line.run("env", "export", "--format", "dotenv", "--secret", "copy:")
        self.assertEqual(sorted(again.splitlines()), sorted(text.splitlines()))

    def test_agent_without_the_right_stores_nothing(self):
        reader = self.agent("reader", capabilities=["secrets:list", "secrets:read"])
        line = CommandLine("http://127.0.0.1:%d" % self.coffer.port, reader.key)
        self.assertIn("capability_missing", line.run("env", "import", self.file(b"A=1"), "--secret", "app", status=4))
        line.run("env", "import", "/nowhere/.env", "--secret", "app", status=2)
        line.run("env", "import", self.file(b"# nothing\n"), "--secret", "app", status=2)


if __name__ == "__main__":
    unittest.main()
