"""Holds the lock against the advisories of the Python Packaging Authority: `make audit` runs it.

python .ci/audit.py PIP_AUDIT requirements.lock

Exit 0: none is known; 1: some are, and they are listed; 2: nothing is known, the database did not
answer for every package. pip-audit by itself ends with 0 where an index does not know a package.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REQUEST_S, ALL_S = 10, 600


def main(program: str, lock: str) -> int:
    """Audit, and say what is known."""
    names = pinned(Path(lock).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "requirements.txt"
        asked.write_text("\n".join(names) + "\n")
        options = ["--strict", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        command = [program, *options, "--timeout", str(REQUEST_S), "-f", "json", "-r", str(asked)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=ALL_S
            )
            found = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError, subprocess.TimeoutExpired):
            found = []
    if len(found) != len(names) or any("vulns" not in package for package in found):
        sys.stderr.write(
            f"The database of advisories did not answer for all of the {len(names)} packages, so "
            "nothing is known of them: run `make audit` on a machine that reaches it.\n"
        )
        return 2
    known = [(package, flaw) for package in found for flaw in package["vulns"]]
    for package, flaw in known:
        cure = ", ".join(flaw["fix_versions"]) or "none yet"
        line = f"{package['name']} {package['version']}: {flaw['id']}, mended in: {cure}"
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(known)} known vulnerabilities in {len(names)} packages.\n")
    return 1 if known else 0


def pinned(lock: str) -> list[str]:
    """`name==version` of each package; a local label such as +cpu is unknown to the database."""
    return re.findall(r"^([\w.-]+==[\w.!]+)", lock, re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
