"""Pieces of TOML."""

import json
import re


def quoted(text: str) -> str:
    """A text as a TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def identifier(name: str) -> str:
    """A name as that of a modality: letters, digits and `_`."""
    cleaned = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()[:40]
    return cleaned if cleaned[:1].isalpha() else f"m_{cleaned}"[:40]
