"""Where a fetched cohort is written: into an empty folder, or over an older one of its kind."""

from pathlib import Path

from mmdiag.errors import UsageError

SUMMARY = "fetched.json"


def require_own_folder(out: Path) -> None:
    """Refuse a folder that holds what is not ours.

    Raises:
        UsageError: It is a file, or holds files and no SUMMARY.
    """
    if out.exists() and (
        not out.is_dir() or (any(out.iterdir()) and not (out / SUMMARY).is_file())
    ):
        raise UsageError(
            f"An export goes into an empty folder or over an older one, {out} holds other files: "
            "name another folder."
        )
