"""What is released: how it is linked, what it is made of, and that a second build elsewhere makes the same bytes."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
from coffer_harness import binaries  # noqa: E402
from nginx_harness import ROOT  # noqa: E402

PROGRAMS = ("coffer", "cofferd")


def said(*words, **options):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, **options).stdout


class HardeningTests(unittest.TestCase):
    def test_programs(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                head = said("readelf", "-hldW", binaries() / name)
                self.assertRegex(head, r"Type:\s+DYN \(Position-Independent Executable file\)")
                self.assertIn("GNU_RELRO", head)
                self.assertRegex(head, r"\(FLAGS(_1)?\)\s.*\bNOW\b")
                self.assertRegex(head, r"GNU_STACK\s+(\S+\s+){5}RW\s")
                self.assertNotRegex(head, r"(?m)^\s*LOAD\s+(\S+\s+){5}(RWE|R?WE)")
                self.assertNotIn("TEXTREL", head)

    def test_unit(self):
        for unit in ("coffer.service", "coffer.socket"):
            found = subprocess.run(["systemd-analyze", "verify", ROOT / "conf" / unit], capture_output=True, text=True, check=False)
            # The program is where the package puts it, not here.
            wrong = [line for line in found.stderr.splitlines() if "is not executable" not in line]
            self.assertEqual(wrong, [], unit)
        told = said("systemd-analyze", "security", "--offline=true", "--no-pager", ROOT / "conf" / "coffer.service")
        score = float(re.search(r"Overall exposure level for coffer.service: ([0-9.]+)", told).group(1))
        print("T96 reached: exposure %.1f, position-independent, full RELRO, no executable stack" % score)
        self.assertLessEqual(score, 2.0)


class BillOfMaterialsTests(unittest.TestCase):
    def test_every_linked_library_is_listed(self):
        words = [ROOT / "conf" / "debian" / "sbom", *(binaries() / name for name in PROGRAMS)]
        text = said(*words, cwd=ROOT)
        self.assertEqual(said(*words, cwd=ROOT), text)
        bill = json.loads(text)
        self.assertEqual((bill["bomFormat"], bill["specVersion"]), ("CycloneDX", "1.5"))
        references = [one["bom-ref"] for one in bill["components"]]
        self.assertEqual(len(references), len(set(references)))
        self.assertEqual(bill["dependencies"][0]["dependsOn"], references)
        files = {}
        for one in bill["components"]:
            files.update({entry["value"]: one for entry in one["properties"] if entry["name"] == "coffer:file"})
        needed = set()
        for name in PROGRAMS:
            needed |= set(re.findall(r"NEEDED.*\[(.*)\]", said("readelf", "-dW", binaries() / name)))
        self.assertGreater(len(needed), 5)
        for library in needed:
            # By its name in the loader, which is a link to the file.
            place = re.search(r"%s => (\S+)|(\S*/%s) \(" % ((re.escape(library),) * 2), said("ldd", binaries() / "cofferd"))
            file = os.path.basename(os.path.realpath(place.group(1) or place.group(2)))
            self.assertIn(file, files, library)
            one = files[file]
            self.assertEqual(said("dpkg-query", "-W", "-f", "${Version}", one["name"]), one["version"])
        packages = re.findall(r"\.package\(\s*url: \"[^\"]*/([^/\"]+?)(?:\.git)?\"", (ROOT / "Package.swift").read_text(encoding="utf-8"))
        named = {one["name"] for one in bill["components"]}
        self.assertTrue(set(packages) and set(packages) | {"swift-runtime"} <= named, packages)
        print("T95 reached: %d parts listed" % len(references))


class ReproducibleTests(unittest.TestCase):
    def test_a_second_build_elsewhere(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="coffer-another-place-"))
        self.addCleanup(shutil.rmtree, home)
        there = home / "sources"
        shutil.copytree(ROOT, there, ignore=shutil.ignore_patterns(".build*", ".git", "__pycache__"))
        digests = []
        for place in (ROOT, there):
            with open(home / "build.log", "ab") as log:
                subprocess.run(["make", "build"], cwd=place, stdout=log, stderr=log, check=True)
                path = said(place / "conf" / "debian" / "build", cwd=place).strip().splitlines()[-1]
            digests.append(hashlib.sha256((place / path).read_bytes()).hexdigest())
        self.assertEqual(digests[0], digests[1])
        print("T95 reached: two builds in two places, the same package byte for byte")


if __name__ == "__main__":
    unittest.main()
