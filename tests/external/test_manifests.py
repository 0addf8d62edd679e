"""Notes, tables and variants of the torture collections: each reader decides as the collection's
manifest does.
"""

import csv
from pathlib import Path

from repository import SHARED

from mmdiag.errors import ReadError
from mmdiag.readers.genomics.vcf import read_vcf
from mmdiag.readers.tables.cohort_tables import check_table
from mmdiag.readers.text.notes import read_note

TORTURE = SHARED / "data" / "torture"
FOLDER = TORTURE / "tables_notes_vcf"
MANIFEST = FOLDER / "manifest.tsv"
# What of the public corpus is decided otherwise than there, and why
ACCEPTED_ALTHOUGH_FAILED = {
    "4.1/failed/failed_body_format_003.vcf": "FORMAT keys with '_' (MIN_DP) are what callers "
    "write under 4.1 and 4.2",
    "4.2/failed/failed_body_format_003.vcf": "the same",
    "4.1/failed/failed_meta_sample_000.vcf": "##SAMPLE without Genomes: the specification gives "
    "it as an example, and cancer callers leave it out",
    "4.2/failed/failed_meta_sample_000.vcf": "the same",
}
REFUSED_ALTHOUGH_PASSED = {
    "4.5/passed/zero_length_LAA.vcf": "unsorted, and without the end of its last line"
}


def test_every_note_of_the_torture_files_gets_the_verdict_of_its_manifest():
    wrong = {}
    for row in csv.DictReader(MANIFEST.read_text().splitlines(), delimiter="\t"):
        if row["class"] != "notes":
            continue
        try:
            verdict = "accept" if read_note(FOLDER / row["file"]) else "quarantine:empty"
        except ReadError as refusal:
            verdict = f"quarantine:{refusal.code}"
        if verdict.partition(":")[0] != row["expect"].removesuffix("-sanitised").partition(":")[0]:
            wrong[row["file"]] = (verdict, row["expect"])
    # both are detected and read
    assert set(wrong) <= {"notes/004_cp1252.txt", "notes/028_rtf.txt"}, wrong


def test_the_torture_tables_get_the_verdict_of_their_manifest():
    needs_a_contract = {"018", "034", "036", "038", "055"}
    with MANIFEST.open() as manifest:
        rows = [row for row in csv.DictReader(manifest, delimiter="\t") if row["class"] == "csv"]
    wrong = []
    for row in rows:
        try:
            check_table(FOLDER / row["file"])
            accepted = True
        except ReadError:
            accepted = False
        if (
            accepted != row["expect"].startswith("accept")
            and Path(row["file"]).name[:3] not in needs_a_contract
        ):
            wrong.append(row["file"])
    assert len(rows) == 35 and not wrong


def verdict(file: Path) -> bool:
    try:
        read_vcf(file)
    except ReadError:
        return False
    return True


def test_the_public_corpus_is_decided_as_its_makers_did_but_for_a_few():
    files = {
        str(file.relative_to(TORTURE / "vcf")): file
        for file in sorted((TORTURE / "vcf").rglob("*.vcf*"))
    }
    accepted = {name: verdict(file) for name, file in files.items()}
    passed = [name for name in files if "/passed/" in name]
    failed = [name for name in files if "/failed/" in name]
    assert (len(passed), len(failed)) == (50, 405)
    assert {name for name in passed if not accepted[name]} == set(REFUSED_ALTHOUGH_PASSED)
    assert {name for name in failed if accepted[name]} == set(ACCEPTED_ALTHOUGH_FAILED)


def test_the_torture_variants_get_the_verdict_of_their_manifest():
    with MANIFEST.open() as manifest:
        rows = [row for row in csv.DictReader(manifest, delimiter="\t") if row["class"] == "vcf"]
    assert len(rows) == 15
    assert not [
        row["file"]
        for row in rows
        if verdict(FOLDER / row["file"]) != row["expect"].startswith("accept")
    ]
