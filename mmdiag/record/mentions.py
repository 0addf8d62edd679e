"""Keys of cases and subjects in what is written in words: sentences of a log, facts, reasons."""

import re
from collections.abc import Collection

GONE = "(erased)"
SHORT = 4  # a number of so many digits may be any number of a sentence


def mentions(keys: Collection[str]) -> re.Pattern[str]:
    """What finds some keys in a text, each as a whole. A short number is one only where it stands
    in quotation marks or behind `case` or `subject`.
    """
    plain = [key for key in keys if key and not (key.isdigit() and len(key) <= SHORT)]
    numbers = [key for key in keys if key.isdigit() and len(key) <= SHORT]
    parts = [rf"(?<![\w-])(?:{_any(plain)})(?![\w-])"] if plain else []
    parts += [rf"(?<=['\"])(?:{_any(numbers)})(?=['\"])"] if numbers else []
    parts += [rf"(?<=\bcase )(?:{_any(numbers)})(?!\w)"] if numbers else []
    parts += [rf"(?<=\bsubject )(?:{_any(numbers)})(?!\w)"] if numbers else []
    return re.compile("|".join(parts) or r"(?!)")


def _any(keys: Collection[str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))
