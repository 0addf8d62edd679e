"""Whether a note states the label that it shall predict: by the task's own regular expressions,
within bounds of length and time.
"""

from collections.abc import Mapping, Sequence

import regex

from mmdiag.errors import UsageError

LONGEST_PATTERN = 500  # characters
LONGEST_TEXT = 200_000  # characters of a note that are searched; a longer one breaks its contract
SECONDS = 5.0  # that one pattern may take on one note
FEWEST_LETTERS = 4  # of a class whose name is looked for in notes
ANSWERS = {
    "yes",
    "no",
    "not",
    "none",
    "true",
    "false",
    "positive",
    "negative",
    "normal",
    "abnormal",
    "other",
    "unknown",
    "high",
    "low",
    "case",
    "control",
}


def compiled(patterns: Sequence[str]) -> list["regex.Pattern[str]"]:
    """Compile the patterns of a task; case does not matter.

    Raises:
        UsageError: A pattern is too long, no regular expression, or matches an empty text, and so
            every note.
    """
    found = []
    for number, pattern in enumerate(patterns, start=1):
        wrong = (
            f"is longer than {LONGEST_PATTERN} characters" if len(pattern) > LONGEST_PATTERN else ""
        )
        if not wrong:
            try:
                found.append(regex.compile(pattern, regex.IGNORECASE))
            except regex.error:
                wrong = "is not a regular expression"
            else:
                wrong = "matches an empty text, and so every note" if found[-1].search("") else ""
        if wrong:
            raise UsageError(
                f"label_patterns are regular expressions that match some notes, number {number} "
                f"{wrong}: correct it in cohort.toml."
            )
    return found


def stating(texts: Mapping[str, str], patterns: Sequence["regex.Pattern[str]"]) -> dict[str, int]:
    """Case -> number of the first pattern (from 1) that its note matches; cases whose notes match
    none are not in it.

    Raises:
        UsageError: A pattern takes too long.
    """
    found: dict[str, int] = {}
    for case_id, text in texts.items():
        for number, pattern in enumerate(patterns, start=1):
            try:
                matches = pattern.search(text, endpos=LONGEST_TEXT, timeout=SECONDS) is not None
            except TimeoutError:
                raise UsageError(
                    f"A pattern of label_patterns takes less than {SECONDS:.0f} s on a note, "
                    f"number {number} does not on that of {case_id}: "
                    "write it without repetitions inside repetitions."
                ) from None
            if matches:
                found[case_id] = number
                break
    return found


def class_pattern(name: str) -> "regex.Pattern[str] | None":
    """A pattern for the name of a class, between words; None where the name is no word that would
    say so, such as `yes`, `3` or `II`.
    """
    words = " ".join(name.replace("_", " ").split())
    if words.casefold() in ANSWERS or not regex.search(rf"\p{{L}}{{{FEWEST_LETTERS}}}", words):
        return None
    return regex.compile(
        r"\b" + r"[\s_-]+".join(map(regex.escape, words.split())) + r"\b", regex.IGNORECASE
    )
