"""A file that a cohort.toml names is a regular file and lies below the root, or below a folder of
`also_read`; whatever else it names is refused before anything is opened or written.
"""

from pathlib import Path

import pytest
from special_files import SPECIAL

from mmdiag.description import read_description
from mmdiag.errors import DescriptionError

# Every key that names a file -> its file in a right cohort
NAMED = {
    "table": "cases.csv",
    "identifiers": "names.csv",
    "path": "genes.csv",
    "gene_names": "hgnc.txt",
    "gene_sets": "sets.gmt",
}
REFERENCE = ("gene_names", "gene_sets")


def write_cohort(folder: Path, also_read: str = "", **named: str) -> Path:
    """A cohort that names one file for each key, and its files."""
    files = {**NAMED, **named}
    root = folder / "cohort"
    root.mkdir(exist_ok=True)
    (root / "cases.csv").write_text("id,y\na,1\nb,0\n")
    (root / "names.csv").write_text("case_id,value\na,Jane Doe\n")
    (root / "genes.csv").write_text("id,TP53\na,1\nb,2\n")
    (root / "hgnc.txt").write_text("symbol\n")
    (root / "sets.gmt").write_text("one\tfirst\tTP53\n")
    (root / "cohort.toml").write_text(
        f'[cohort]\nname = "small"\n{also_read}\n[cases]\ntable = "{files["table"]}"\n'
        f'case_id = "id"\nidentifiers = ["{files["identifiers"]}"]\n'
        '[task]\nkind = "binary"\nlabel = "y"\npositive = "1"\n'
        f'[modalities.genes]\nkind = "table"\npath = "{files["path"]}"\nkey = "id"\n'
        f'gene_names = "{files["gene_names"]}"\ngene_sets = "{files["gene_sets"]}"\n'
    )
    return root / "cohort.toml"


def outside(folder: Path, key: str) -> Path:
    """The file of a key, in a folder beside the cohort."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    write_cohort(folder)
    return Path((folder / "cohort" / NAMED[key]).rename(elsewhere / NAMED[key]))


def test_files_below_the_root_are_read(tmp_path):
    assert read_description(write_cohort(tmp_path)).also_read == ()


@pytest.mark.parametrize("key", NAMED)
def test_an_absolute_path_is_refused(tmp_path, key):
    file = outside(tmp_path, key)
    with pytest.raises(DescriptionError, match=r"below the root.*absolute path|must lie below"):
        read_description(write_cohort(tmp_path, **{key: str(file)}))


@pytest.mark.parametrize("key", NAMED)
def test_an_absolute_path_is_refused_even_where_it_leads_below_the_root(tmp_path, key):
    file = tmp_path / "cohort" / NAMED[key]
    with pytest.raises(DescriptionError, match="below the root"):
        read_description(write_cohort(tmp_path, **{key: str(file)}))


@pytest.mark.parametrize("key", NAMED)
def test_a_path_that_leads_upwards_is_refused(tmp_path, key):
    outside(tmp_path, key)
    with pytest.raises(DescriptionError, match="below the root"):
        read_description(write_cohort(tmp_path, **{key: f"../elsewhere/{NAMED[key]}"}))


@pytest.mark.parametrize("key", NAMED)
def test_a_link_that_leads_out_of_the_root_is_refused(tmp_path, key):
    file = outside(tmp_path, key)
    toml = write_cohort(tmp_path)
    (toml.parent / NAMED[key]).unlink()
    (toml.parent / NAMED[key]).symlink_to(file)
    with pytest.raises(DescriptionError, match=r"below the root.*link that leads out"):
        read_description(toml)


@pytest.mark.parametrize("key", NAMED)
def test_a_folder_that_is_a_link_out_of_the_root_is_refused(tmp_path, key):
    file = outside(tmp_path, key)
    toml = write_cohort(tmp_path, **{key: f"linked/{file.name}"})
    (toml.parent / "linked").symlink_to(file.parent)
    with pytest.raises(DescriptionError, match=r"below the root.*link that leads out"):
        read_description(toml)


@pytest.mark.parametrize("key", NAMED)
def test_a_link_to_a_device_is_refused(tmp_path, key):
    toml = write_cohort(tmp_path)
    (toml.parent / NAMED[key]).unlink()
    (toml.parent / NAMED[key]).symlink_to("/dev/zero")
    with pytest.raises(DescriptionError, match=r"below the root.*link that leads out"):
        read_description(toml)


@pytest.mark.parametrize("key", NAMED)
def test_a_link_to_itself_is_refused(tmp_path, key):
    toml = write_cohort(tmp_path)
    (toml.parent / NAMED[key]).unlink()
    (toml.parent / NAMED[key]).symlink_to(NAMED[key])
    with pytest.raises(DescriptionError, match=r"below the root.*cannot be reached"):
        read_description(toml)


@pytest.mark.parametrize("key", NAMED)
def test_a_link_within_the_root_is_followed(tmp_path, key):
    toml = write_cohort(tmp_path)
    (toml.parent / NAMED[key]).rename(toml.parent / "real")
    (toml.parent / NAMED[key]).symlink_to("real")
    assert read_description(toml).name == "small"


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("key", NAMED)
def test_what_is_no_file_is_refused_at_once(tmp_path, key, kind):
    toml = write_cohort(tmp_path)
    (toml.parent / NAMED[key]).unlink()
    SPECIAL[kind](toml.parent / NAMED[key])
    if (key, kind) == ("path", "a folder"):  # of tables: it stands for the files in it
        assert read_description(toml).name == "small"
        return
    with pytest.raises(DescriptionError, match=f"no regular file but {kind} .not_a_file."):
        read_description(toml)


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_description_that_is_no_file_is_refused_at_once(tmp_path, kind):
    toml = write_cohort(tmp_path)
    toml.unlink()
    SPECIAL[kind](toml)
    with pytest.raises(DescriptionError, match=f"regular file, cohort.toml is {kind}"):
        read_description(toml)


@pytest.mark.parametrize("key", REFERENCE)
@pytest.mark.parametrize("form", ["an absolute path", "a link", "a folder relative to the toml"])
def test_a_reference_file_may_lie_below_a_folder_of_also_read(tmp_path, key, form):
    file = outside(tmp_path, key)
    folder = "../elsewhere" if "relative" in form else file.parent
    toml = write_cohort(
        tmp_path, f'also_read = ["{folder}"]', **({} if form == "a link" else {key: str(file)})
    )
    if form == "a link":
        (toml.parent / NAMED[key]).unlink()
        (toml.parent / NAMED[key]).symlink_to(file)
    description = read_description(toml)
    assert description.also_read == (file.parent,)
    assert (description.root / getattr(description.modalities["genes"], key)).samefile(file)


@pytest.mark.parametrize("key", sorted(set(NAMED) - set(REFERENCE)))
def test_no_other_file_lies_in_a_folder_of_also_read(tmp_path, key):
    file = outside(tmp_path, key)
    also_read = f'also_read = "{file.parent}"'
    with pytest.raises(DescriptionError, match="below the root"):
        read_description(write_cohort(tmp_path, also_read, **{key: str(file)}))


def test_a_link_out_of_a_folder_of_also_read_is_refused(tmp_path):
    file = outside(tmp_path, "gene_sets")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "sets.gmt").symlink_to(file)
    toml = write_cohort(
        tmp_path, 'also_read = ["../reference"]', gene_sets=f"{tmp_path}/reference/sets.gmt"
    )
    with pytest.raises(DescriptionError, match=r"or a folder of also_read.*leads out"):
        read_description(toml)


def test_a_reference_file_elsewhere_is_refused_with_its_cure(tmp_path):
    file = outside(tmp_path, "gene_sets")
    with pytest.raises(DescriptionError, match="name its folder in also_read"):
        read_description(write_cohort(tmp_path, gene_sets=str(file)))


def test_also_read_names_folders(tmp_path):
    with pytest.raises(DescriptionError, match="'nowhere' is none"):
        read_description(write_cohort(tmp_path, 'also_read = ["nowhere"]'))
