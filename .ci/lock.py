"""Turns pip's report of a resolution into a lock with hashes: `make lock` runs it.

pip install --dry-run --ignore-installed --report - ... | python .ci/lock.py > requirements.lock
"""

import json
import re
import sys
from typing import Any

HEADER = """\
# Every package that `make .venv` installs, each as one file by its SHA-256: `make demo LOCKED=1`
# installs exactly these, and pip stops where a byte differs. `make lock` writes it anew by
# constraints.txt, which the other commands use.
#
# For: {implementation} {python}, {system} {machine}.
# Files from PyPI{torch}. A GPU machine, another platform and
# another Python take other files: by constraints.txt, or by a lock that `make lock` writes there.
"""
CPU_BUILD = """, but for torch: its CPU build, from PyTorch's own index of CPU builds or a folder
# of wheels, which PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS names"""


def main() -> None:
    """Read the report from stdin, write the lock to stdout."""
    sys.stdout.write(lock(json.load(sys.stdin)))


def lock(report: dict[str, Any]) -> str:
    """The lock of a resolution: a line a package, and nothing of where this machine found it.

    Raises:
        SystemExit: If a package of the report has no SHA-256.
    """
    place = report["environment"]
    header = HEADER.format(
        implementation=place["platform_python_implementation"],
        python=place["python_version"],
        system=place["platform_system"],
        machine=place["platform_machine"],
        torch=CPU_BUILD if any(of_cpu(item) for item in report["install"]) else "",
    )
    packages = [item for item in report["install"] if "dir_info" not in item["download_info"]]
    return header + "".join(f"{line(item)}\n" for item in sorted(packages, key=canonical))


def line(item: dict[str, Any]) -> str:
    """`name==version --hash=sha256:...`, on one line, so that `grep` finds the whole."""
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
    if not sha256:
        sys.exit(
            f"A lock needs the SHA-256 of every package, {name} has none: it comes from no file."
        )
    return f"{name}=={version} --hash=sha256:{sha256}"


def of_cpu(item: dict[str, Any]) -> bool:
    """Whether it is the CPU build of torch, by its local label."""
    return bool(item["metadata"]["version"].endswith("+cpu"))


def canonical(item: dict[str, Any]) -> str:
    """The name by which indexes know a package."""
    return re.sub(r"[-_.]+", "-", str(item["metadata"]["name"])).lower()


if __name__ == "__main__":
    main()
