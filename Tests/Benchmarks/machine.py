"""The machine that measures, as far as it explains the figures: no names of hosts, users or folders."""

import ctypes
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from nginx_harness import NGINX


def machine(folder=None):
    """`sync`: milliseconds that a write of 4 KiB with fdatasync takes in `folder`, where stores are made."""
    model = next((line.partition(":")[2].strip() for line in lines("/proc/cpuinfo") if line.startswith("model name")), "CPU")
    sqlite, crypto = ctypes.CDLL("libsqlite3.so.0"), ctypes.CDLL("libcrypto.so.3")
    for function in (sqlite.sqlite3_libversion, crypto.OpenSSL_version):
        function.restype = ctypes.c_char_p
    return {
        "cores": len(os.sched_getaffinity(0)),
        "model": model,
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30,
        "kernel": re.match(r"[0-9.]*[0-9]", os.uname().release).group(),
        "nginx": first_version([NGINX, "-v"]),
        "openssl": re.search(r"[0-9][^ ]*", crypto.OpenSSL_version(0).decode()).group(),
        "sqlite": sqlite.sqlite3_libversion().decode(),
        "wrk": first_version(["wrk", "-v"]),
        "load": os.getloadavg()[0],
        "sync": sync_time(folder),
    }


def lines(path):
    return pathlib.Path(path).read_text(encoding="utf-8").splitlines()


def first_version(words):
    """The first version number that a program prints about itself."""
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    return re.search(r"[0-9]+\.[0-9]+(\.[0-9]+)?", said.stdout + said.stderr).group()


def sync_time(folder=None, rounds=100):
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        taken = []
        for _ in range(rounds):
            begun = time.monotonic()
            os.pwrite(file.fileno(), bytes(4096), 0)
            os.fdatasync(file.fileno())
            taken.append((time.monotonic() - begun) * 1000)
    return statistics.median(taken)


class Stolen:
    """The part of the machine's CPU time that its host gave to others, from the making of this on."""

    def __init__(self):
        self.begun = self._times()

    @staticmethod
    def _times():
        fields = list(map(int, lines("/proc/stat")[0].split()[1:9]))
        return fields[7], sum(fields)  # proc(5): the eighth is "steal"

    def part(self):
        stolen, every = (after - before for before, after in zip(self.begun, self._times()))
        return stolen / every if every else 0.0
