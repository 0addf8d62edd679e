"""A MAF is one by its header, too: cBioPortal calls it data_mutations.txt."""

import pytest

from mmdiag.readers.genomics.maf import is_maf
from mmdiag.readers.tables.cohort_tables import read_numbers, table_header

HEADER = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tStart_Position\n"
ROWS = (
    "TP53\tMissense_Mutation\ta\t100\nEGFR\tSilent\ta\t200\nTP53\tNonsense_Mutation\ta\t300\n"
    "KRAS\tMissense_Mutation\tb\t400\n"
)


@pytest.mark.parametrize("name", ["data_mutations.txt", "mutations.tsv", "m.tab", "m.maf"])
@pytest.mark.parametrize("before", ["", "#version 2.4\n", "#Sequenced_Samples: a b\n#x\n"])
def test_mutations_are_counted_whatever_the_file_is_called(tmp_path, name, before):
    (tmp_path / name).write_text(before + HEADER + ROWS)
    files = [tmp_path / name]
    assert "Tumor_Sample_Barcode" in table_header(files[0])
    read = read_numbers(files, "Tumor_Sample_Barcode", (), (), "refuse").values
    assert read.to_dict("index") == {"a": {"TP53": 2.0, "KRAS": 0.0}, "b": {"TP53": 0.0, "KRAS": 1}}


@pytest.mark.parametrize(
    "content", ["", "Hugo_Symbol\tTumor_Sample_Barcode\nTP53\ta\n", "id\tx\na\t1\n"]
)
def test_another_table_is_none(tmp_path, content):
    (tmp_path / "t.tsv").write_text(content)
    assert not is_maf(tmp_path / "t.tsv") and not is_maf(tmp_path / "missing.tsv")


def test_a_file_that_becomes_one_is_looked_at_again(tmp_path):
    file = tmp_path / "t.tsv"
    file.write_text("id\tx\na\t1\n")
    assert not is_maf(file)
    file.write_text(HEADER + ROWS)
    assert is_maf(file)
