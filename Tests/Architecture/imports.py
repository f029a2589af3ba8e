"""Holds the directions between the modules: which may import which. Exit 1 and a line for each import that is not in the table.

The C libraries each have one home; SQL is in Store alone; what serves requests has no Foundation.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

ALLOWED = {
    "Threads": {"CShim"},
    "SecretMemory": {"CLibcrypto"},
    "Ciphers": {"CLibcrypto", "SecretMemory"},
    "KeyRing": {"Ciphers", "SecretMemory", "StrictJSON"},
    "StrictJSON": set(),
    "Model": {"StrictJSON"},
    "Store": {"CSQLite", "CShim", "Threads"},
    "Service": {"CShim", "Ciphers", "KeyRing", "Model", "SecretMemory", "Store", "StrictJSON", "Threads"},
    "HTTPMessages": {"SecretMemory"},
    "Gateway": {"HTTPClient", "SecretMemory", "Threads"},
    "SettingsAPI": {"Gateway", "HTTPMessages", "Model", "SecretMemory", "Service", "StrictJSON", "Threads"},
    "ScopedAPI": {"HTTPMessages", "KeyRing", "Model", "SecretMemory", "Service", "StrictJSON"},
    "AdminAPI": {"HTTPMessages", "KeyRing", "Model", "SecretMemory", "Service", "Store", "StrictJSON", "Threads"},
    "Responder": {"CFastCGI", "CShim", "Ciphers", "HTTPMessages", "SecretMemory", "Threads"},
    "SocketRelay": {"CShim", "Ciphers", "HTTPMessages", "Responder", "SecretMemory", "StrictJSON", "Threads"},
    "Configuration": {"SecretMemory", "StrictJSON"},
    "ConfiguredKeys": {"Configuration", "KeyRing"},
    "Diagnosis": set(),
    "EventLog": {"CShim", "Configuration", "Model", "StrictJSON", "Threads"},
    "EnvironmentFiles": {"SecretMemory", "StrictJSON"},
    "FastCGIClient": {"CShim"},
    "HTTPClient": {"CCurl", "SecretMemory"},
}
SYSTEM = {"Glibc", "Synchronization"}
# Put together what the others offer.
EXECUTABLES = {"cofferd", "coffer"}
IMPORT = re.compile(r"^\s*(?:@\w+ )?(?:(?:internal|package|private|public) )?import (\w+)", re.M)
SQL = re.compile(r"\b(?:SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|PRAGMA) ?")


def main():
    wrong = []
    for source in sorted((ROOT / "Sources").rglob("*.swift")):
        module = source.relative_to(ROOT / "Sources").parts[0]
        text = source.read_text()
        imports = set(IMPORT.findall(text)) - SYSTEM
        if module in EXECUTABLES:
            bad = imports & ({"CLibcrypto", "CSQLite", "CFastCGI", "CCurl"} | ({"Foundation"} if module == "cofferd" else set()))
        else:
            bad = imports - ALLOWED.get(module, set())
        wrong += ["%s imports %s" % (source.relative_to(ROOT), name) for name in sorted(bad)]
        if module != "Store" and SQL.search(text):
            wrong.append("%s holds SQL" % source.relative_to(ROOT))
    print("\n".join(wrong) or "%d modules keep their directions" % len(ALLOWED))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
