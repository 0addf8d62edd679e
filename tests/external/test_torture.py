"""Every file of the torture collections gets the verdict that it should, within time and memory."""

import csv
from pathlib import Path

import pytest
from repository import SHARED

from mmdiag.ingest.inspect import inspect
from mmdiag.reasons import REASONS

TORTURE = SHARED / "data" / "torture"
MEGABYTES = 1024
NOT_JUDGED = {".tsv", ".csv", ".md", ".txt"}  # lists beside the files of the DICOM collections

# What a hostile file must get. Files whose pixels and geometry are sound are CT images without
# rescale tags: a guess would shift every density.
HOSTILE = {
    "archive": ("s008",),
    "not_dicom": ("s002", "s004", "s006", "s010", "s02x_trunc_00100", "s02x_trunc_00131"),
    "truncated": (
        "s02x_trunc_00132",
        "s02x_trunc_00133",
        "s02x_trunc_00140",
        "s02x_trunc_00200",
        "s02x_trunc_00300",
        "s02x_trunc_01000",
        "s02x_trunc_05000",
        "s02x_trunc_20000",
        "s02x_trunc_39000",
        "s032",
        "s040",
        "s106",
    ),
    "too_large": ("s030", "s034", "s038", "s042"),
    "too_deep": (
        "s06x_nest_def_00300",
        "s06x_nest_def_01000",
        "s06x_nest_def_03000",
        "s070",
        "s074_excblow_30",
    ),
    "unreadable": ("s036", "s072", "s116", "s118", "s122"),
    "unknown_photometric": ("s120",),
    "no_pixel_data": (
        "s02x_trunc_00400",
        "s048",
        "s074_excblow_10",
        "s074_excblow_14",
        "s074_excblow_20",
        "s100",
        "s102",
        "s104",
        "s132",
    ),
    "missing_rescale": (
        "s046",
        "s080",
        "s082",
        "s084",
        "s086",
        "s088",
        "s090",
        "s092",
        "s094",
        "s096",
        "s098",
        "s098b",
        "s108",
        "s110",
        "s112",
        "s114",
        "s124",
        "s126",
    ),
    "": (
        "s012",
        "s014",
        "s016",
        "s130",
        "s130b",
    ),  # sound images: a preamble or bytes behind the pixels are never read
}

# Readable images that are refused all the same, each with its reason.
WRONGLY_REFUSED = {
    "0ef437f5_bbmri.dcmdir": "a directory of files: it has no pixels of its own",
    "a2c8c020_54-implicit-file-meta-info.dcm": "no preamble and no prefix: PS3.10 asks for both",
    "fd2ff64f_BRTUMMM1": "256 frames at one position: a time series, no volume",
    "6232fd7a_partial_overlaps.dcm": "a segmentation whose segments share positions, no image",
    "9694e717_seg_image_ct_binary_overlap.dcm": "a segmentation whose segments share positions, "
    "no image",
}


def verdicts(folder):
    found = {
        str(Path(v["path"]).relative_to(folder)): v
        for v in inspect([folder])
        if Path(v["path"]).suffix not in NOT_JUDGED or folder.name == "tables_notes_vcf"
    }
    slow = [name for name, v in found.items() if v["code"] == "too_slow"]  # the sandbox's own limit
    large = {name: v["peak_mb"] for name, v in found.items() if v["peak_mb"] > MEGABYTES}
    assert not slow and not large, (slow, large)
    assert all((v["code"] in REASONS) == (v["verdict"] == "quarantined") for v in found.values())
    return found


def test_every_hostile_dicom_file_gets_its_code():
    found = verdicts(TORTURE / "dicom_hostile")
    expected = {}
    for code, starts in HOSTILE.items():
        for start in starts:
            expected |= {
                name: code for name in found if name.startswith((f"{start}_", f"{start}."))
            }
    assert {name: found[name]["code"] for name in found} == expected and len(found) == 66


def test_ordinary_dicom_is_read_and_what_does_not_decode_is_refused():
    folder = TORTURE / "dicom"
    found = verdicts(folder)
    known = {
        row["path"].removeprefix("dev/dicom/"): row
        for row in csv.DictReader((folder / "INDEX.csv").read_text().splitlines())
    }
    readable = [name for name in found if known.get(name, {}).get("decode") == "ok"]
    refused = {Path(name).name for name in readable if found[name]["code"]}
    assert refused <= set(WRONGLY_REFUSED), refused - set(WRONGLY_REFUSED)
    assert len(refused) <= 0.02 * len(readable), (len(refused), len(readable))
    accepted = [
        name
        for name in found
        if known.get(name, {}).get("decode", "").startswith("fail") and not found[name]["code"]
    ]
    assert not accepted, "a blank image is no image"


@pytest.mark.parametrize("kind", ["csv", "notes", "vcf", "archive", "model"])
def test_tables_notes_variants_archives_and_models_get_the_verdict_of_their_manifest(kind):
    folder = TORTURE / "tables_notes_vcf"
    rows = [
        row
        for row in csv.DictReader(
            (folder / "manifest.tsv").read_text().splitlines(), delimiter="\t"
        )
        if row["class"] == kind
    ]
    needs_contract = (
        ("quarantine:schema", "quarantine:domain", "quarantine:type") if kind == "csv" else ()
    )
    # readers that know these formats read them
    detected = {
        "notes/004_cp1252.txt",
        "notes/028_rtf.txt",
        "notes/030_pdf.txt",
        "model/007_shape_mismatch.safetensors",  # as an embedding: three vectors of three numbers
    }
    found = {str(Path(v["path"]).relative_to(folder)): v for v in inspect([folder / kind])}
    wrong = {
        row["file"]: (row["expect"], found[row["file"]]["code"])
        for row in rows
        if row["expect"] not in needs_contract
        and row["file"] not in detected
        and row["expect"].startswith("accept") != (found[row["file"]]["verdict"] == "accepted")
    }
    assert not wrong


def test_variant_files_follow_their_specification():
    found = verdicts(TORTURE / "vcf")
    passed = [v for name, v in found.items() if "passed" in Path(name).parts]
    failed = [v for name, v in found.items() if "failed" in Path(name).parts]
    assert sum(bool(v["code"]) for v in passed) <= 0.05 * len(passed) and sum(
        not v["code"] for v in failed
    ) <= 0.05 * len(failed)
