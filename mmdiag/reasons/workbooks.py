"""Why a workbook is refused, beyond what any table is."""

from mmdiag.reasons.reason import Reason

OF_WORKBOOKS: dict[str, Reason] = {
    "sheet": Reason(
        "A table is one sheet of a workbook: the only one that has cells, or the one that sheet "
        "names.",
        'Write sheet = "..." below the table in cohort.toml, with one of these names.',
    ),
    "formula_value": Reason(
        "A formula of a workbook carries its value: nothing is computed here.",
        "Open the workbook in the program that it is of and save it again, or save the values.",
    ),
    "key_number": Reason(
        "A key of digits is text: as a number, a workbook loses its leading zeros, and its digits "
        "beyond the fifteenth.",
        "Write the keys again at their source, in a column that is formatted as text.",
    ),
}
