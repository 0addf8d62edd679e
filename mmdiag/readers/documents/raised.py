"""Raised characters as text: ten to the ninth is 10⁹, not 109."""

from typing import Final

_OWN: Final = dict(zip("0123456789+-\u2212\u2013=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁼⁽⁾ⁿ", strict=True))


def raised(text: str) -> str:
    """A raised piece of text, where it has a digit: in the raised forms of its characters, or
    behind a `^` where one of them has none. Without a digit, as of 1st, it is what it is.
    """
    bare = text.strip()
    if not any(letter in "0123456789" for letter in bare):
        return text
    if all(letter in _OWN or letter.isspace() for letter in bare):
        return "".join(_OWN.get(letter, letter) for letter in text)
    return text.replace(bare, f"^{bare}", 1)
