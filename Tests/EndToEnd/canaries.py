"""A value that must not be found, in the forms it could be found in, and the search for it."""

import base64
import json
import os
import pathlib
import urllib.parse


def forms(text):
    """Raw, hexadecimal, Base64 at each of its three alignments, percent-encoded, JSON escapes and
    UTF-16; matched without regard to case where the form has none."""
    raw = text.encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "hex upper": raw.hex().upper().encode()}
    for shift in range(3):
        # cut to whole groups: the characters that depend on what stands before and after
        encoded = base64.b64encode(b"\0" * shift + raw)
        found["base64 at %d" % shift] = encoded[4 if shift else 0 : len(encoded) - 4]
    found["percent"] = "".join("%%%02X" % byte for byte in raw).encode()
    found["percent, quoted"] = urllib.parse.quote(text, safe="").encode()
    found["JSON"] = json.dumps(text)[1:-1].encode()
    found["JSON escapes"] = "".join("\\u%04x" % ord(character) for character in text).encode()
    found["UTF-16"] = text.encode("utf-16-le")
    found["UTF-16 big"] = text.encode("utf-16-be")
    return found


def search(data, texts):
    """Names of the forms in which one of the texts occurs."""
    folded = data.lower()
    return [
        "%s of number %d" % (name, number)
        for number, text in enumerate(texts)
        for name, form in forms(text).items()
        if form in data or (name != "UTF-16" and form.lower() in folded and not name.startswith("base64"))
    ]


def search_folder(folder, texts):
    """Findings in every file below the folder: contents and names."""
    findings = []
    for path in pathlib.Path(folder).rglob("*"):
        findings += ["name of %s: %s" % (path, finding) for finding in search(str(path).encode(), texts)]
        if path.is_file() and not path.is_symlink():
            findings += ["%s: %s" % (path, finding) for finding in search(path.read_bytes(), texts)]
    return findings


def processes_below(pid):
    """The process and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def search_processes(pids, texts):
    """Findings in arguments and environments."""
    findings = []
    for pid in pids:
        for name in ("cmdline", "environ", "comm"):
            try:
                data = pathlib.Path("/proc", str(pid), name).read_bytes()
            except OSError:
                continue
            findings += ["%s of %d: %s" % (name, pid, finding) for finding in search(data, texts)]
    return findings


def counts_in_memory(pid, texts):
    """How often each of the texts (bytes) stands in the memory of a process that it can write to; needs the rights to look."""
    counts = dict.fromkeys(texts, 0)
    with open("/proc/%d/maps" % pid, encoding="ascii") as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            extent, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in extent.split("-"))
            memory.seek(start)
            data = memory.read(end - start)
            for text in texts:
                counts[text] += data.count(text)
    return counts
