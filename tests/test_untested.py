"""The list of what no test enters names functions and modules by what ran of them."""

from untested import untested

SOURCE = """\
import os


def entered(x):
    \"\"\"Says x.\"\"\"
    def inner():
        return 1

    return x


class Kind:
    size = 3

    def never(self):
        \"\"\"Says nothing.\"\"\"
        def within():
            return 2

        return within

    async def later(self):
        return 3

    def shape(self): ...


if os.name == "other":

    def elsewhere():
        return 4
"""
IMPORTED = {1, 4, 12, 13, 15, 22, 25, 28, 30}  # what runs when the module is imported: no body


def test_a_function_of_whose_body_nothing_ran_is_listed_and_what_is_within_it_is_not():
    assert untested(SOURCE, IMPORTED) == ["entered", "Kind.never", "Kind.later", "elsewhere"]
    assert untested(SOURCE, IMPORTED | {6, 9}) == [
        "entered.inner",
        "Kind.never",
        "Kind.later",
        "elsewhere",
    ]
    assert untested(SOURCE, IMPORTED | {6, 7, 9, 17, 20, 23, 31}) == ["Kind.never.within"]


def test_a_module_of_which_no_line_ran_is_listed_as_a_whole_and_an_empty_one_is_not():
    assert untested(SOURCE, set()) == [""]
    assert untested("", set()) == []
