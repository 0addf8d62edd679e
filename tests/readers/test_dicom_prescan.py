"""The pre-scan: finds what is there, and stops before what would cost memory or depth, whatever a
file says of itself.
"""

import struct
import zlib

import pytest
from dicom_builders import make_slice, write
from processor_time import grows_in_proportion
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from mmdiag.errors import ReadError
from mmdiag.readers.dicom import elements, prescan
from mmdiag.readers.dicom.prescan import fragments, scan


def file_of(body: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid + body


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    head = struct.pack("<HH2s", group, number, vr)
    return (
        head
        + (
            struct.pack("<HI", 0, len(value))
            if vr in elements.LONG_FORMS
            else struct.pack("<H", len(value))
        )
        + value
    )


def code_of(content: bytes, **options) -> str:
    with pytest.raises(ReadError, match=r"\w+") as refused:
        scan(content, **options)
    return refused.value.code


def test_elements_and_pixels_are_found_where_they_lie(tmp_path):
    content = write(tmp_path / "s", [make_slice(3)])[0].read_bytes()
    found = scan(content)
    assert found.value(0x0010_0020).strip() == b"p1" and found.value(0x0028_0010) == struct.pack(
        "<H", 8
    )
    assert (
        found.pixels == 0x7FE0_0010
        and found.pixel_element.length == 160
        and fragments(found) is None
    )


def test_the_first_bytes_are_enough_where_they_reach_the_pixels(tmp_path):
    content = write(tmp_path / "s", [make_slice(3)])[0].read_bytes()
    pixels = scan(content).pixel_element.start
    assert scan(content[:pixels], size=len(content)).elements == scan(content).elements
    assert code_of(content[: pixels - 40], size=len(content)) == "incomplete"
    assert code_of(content[: pixels - 30]) == "truncated", "of a whole file it is not the beginning"


def test_fragments_are_counted_and_an_end_that_is_missing_is_said(tmp_path):
    dataset = make_slice(0)
    dataset.compress(RLELossless, generate_instance_uid=False)
    content = write(tmp_path / "s", [dataset])[0].read_bytes()
    assert len(fragments(scan(content)).fragments) == 1
    with pytest.raises(ReadError, match="truncated"):
        fragments(scan(content[:-8]))


@pytest.mark.parametrize("marked", [True, False])
def test_sequences_that_nest_too_deep_are_refused_in_linear_time(marked):
    def nested(levels: int) -> bytes:
        body = b""
        if marked:  # opened and never closed
            body = (
                struct.pack("<HH2sHI", 8, 0x1115, b"SQ", 0, 0xFFFF_FFFF)
                + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFF_FFFF)
            ) * levels
        else:
            for _ in range(levels):
                item = struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
                body = element(8, 0x1115, b"SQ", item)
        return file_of(body)

    files = {levels: nested(levels) for levels in (750, 3_000)}
    assert {code_of(file) for file in files.values()} == {"too_deep"}
    assert grows_in_proportion(lambda levels: code_of(files[levels]), 3_000)


def test_a_length_that_lies_ends_behind_the_file():
    assert code_of(file_of(struct.pack("<HH2sHI", 9, 0x10, b"UN", 0, 0xFFFF_FFF0))) == "truncated"
    short = element(8, 5, b"CS", b"ISO_IR 6") + struct.pack("<HH2sH", 0x10, 0x20, b"LO", 2_000)
    assert code_of(file_of(short + b"\0" * 16)) == "truncated"
    inner = element(8, 0x1115, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 5_000) + b"\0" * 16)
    assert code_of(file_of(inner)) == "truncated"


def test_an_item_outside_of_a_sequence_is_refused():
    assert (
        code_of(file_of(element(8, 5, b"CS", b"  ") + struct.pack("<HHI", 0xFFFE, 0xE000, 0)))
        == "unreadable"
    )


def test_a_deflated_bomb_is_not_inflated_beyond_its_cap(monkeypatch):
    monkeypatch.setattr(prescan, "LARGEST_INFLATED", 2**20)
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = machine.compress(element(8, 0x70, b"UT", b"\0" * 2**22)) + machine.flush()
    assert code_of(file_of(bomb, DeflatedExplicitVRLittleEndian)) == "too_large"
    assert code_of(file_of(bomb[:-4], DeflatedExplicitVRLittleEndian)) in ("too_large", "truncated")


def test_more_elements_than_any_image_has_are_not_counted_to_their_end(monkeypatch):
    monkeypatch.setattr(elements, "MOST_ELEMENTS", 100)
    assert code_of(file_of(element(9, 0x10, b"LO", b"ab") * 101)) == "too_large"
    in_order = [element(9, number, b"LO", b"ab") for number in range(102)]
    assert code_of(file_of(b"".join(in_order))) == "too_large"
    assert len(scan(file_of(b"".join(in_order[:100]))).elements) == 100


def test_pixels_are_pixels_whatever_vr_they_claim():
    rest = element(0x7FE1, 0x10, b"LO", b"ab") * 3
    found = scan(
        file_of(element(8, 5, b"CS", b"  ") + element(0x7FE0, 0x10, b"US", b"abcd") + rest)
    )
    assert (found.pixels, found.pixel_element.length) == (0x7FE0_0010, 4)
    assert len(found.elements) == 2, "what lies behind the pixels is none of the header's"


def test_a_file_without_the_prefix_is_no_dicom_file():
    assert (
        code_of(b"") == code_of(b"\0" * 200) == "not_dicom"
        and code_of(b"\0" * 128 + b"DICM") == "truncated"
    )
