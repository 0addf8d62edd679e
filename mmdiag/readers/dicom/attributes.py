"""The values of some attributes of DICOM headers as text, of one file and of all of a series."""

from collections.abc import Sequence

from pydicom.sequence import Sequence as DicomSequence

from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.pixels import read_attributes


def attribute_values(header: Header, keywords: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of some attributes as text, those that are empty or absent left out.

    Args:
        keywords: Of a sequence, the PatientID of each item counts as its values.
    """
    values = {}
    for keyword in header.stated(tuple(keywords)):
        if header.is_sequence(keyword):
            texts = _item_ids(header, keyword)
        else:
            readings = header.readings(keyword)
            texts = tuple([part for text in readings for part in text.split("\\") if part])
        if texts:
            values[keyword] = texts
    return values


def values_of_all(headers: Sequence[Header], keywords: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of some attributes in all files of a series; most are alike in all."""
    values = attribute_values(headers[0], keywords)
    if len(headers) == 1:
        return values
    stated = tuple(keywords)
    first = {keyword: headers[0].raw(keyword) for keyword in headers[0].stated(stated)}
    for header in headers[1:]:
        others = [
            keyword
            for keyword in header.stated(stated)
            if header.raw(keyword) != first.get(keyword)
        ]
        for keyword, texts in attribute_values(header, others).items():
            values[keyword] = tuple(dict.fromkeys((*values.get(keyword, ()), *texts)))
    return values


def _item_ids(header: Header, keyword: str) -> tuple[str, ...]:
    items = read_attributes(header, [keyword]).get(keyword)
    if not isinstance(items, DicomSequence):  # bytes that do not parse as items
        return ()
    return tuple(filter(None, (str(item.get("PatientID", "")).strip() for item in items)))
