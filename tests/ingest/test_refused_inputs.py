"""What may not come in: names, the future, the label, text in pixels; and what becomes of a case of
which one modality stays outside.
"""

import numpy as np
import pandas as pd
import pytest
from dicom_builders import make_slice

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.errors import ContractError, DescriptionError, UsageError
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

NOTE = (
    "FINDINGS: Stable lesion of the left frontal lobe without oedema, compared with the prior "
    "study of number {0}.\n"
)


@pytest.fixture
def cohort(tmp_path):
    """Twelve cases with an image and a note each; `make(cases=..., notes={...}, images={...})`
    changes some.
    """

    def make(
        cases: str = "",
        task: str = "",
        image: str = "",
        notes: dict | None = None,
        images: dict | None = None,
    ):
        table = pd.DataFrame(
            {
                "id": [f"c{i:02d}" for i in range(12)],
                "seen": "2024-03-01",
                "label": [i % 2 for i in range(12)],
            }
        )
        table["name"] = [f"Quagmire{i:02d}^Zelda{i:02d}" for i in range(12)]
        table.to_csv(tmp_path / "cases.csv", index=False)
        rng = np.random.default_rng(0)
        for i, key in enumerate(table["id"]):
            (tmp_path / f"{key}.txt").write_text((notes or {}).get(key, NOTE.format(i)))
            pixels = rng.integers(0, 4000, (32, 32)).astype(np.uint16).tobytes()
            facts = {
                "Rows": 32,
                "Columns": 32,
                "PixelData": pixels,
                "PatientID": f"patient-{i:02d}",
                "StudyDate": "20240301",
            }
            make_slice(0, **(facts | (images or {}).get(key, {}))).save_as(
                tmp_path / f"{key}.dcm", enforce_file_format=True
            )
        (tmp_path / "cohort.toml").write_text(
            '[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\nas_of = '
            f'"seen"\n{cases}\n[task]\nkind = "binary"\nlabel = "label"\npositive = "1"\n{task}\n'
            '[modalities.scan]\nkind = "image"\npath = '
            f'"{{id}}.dcm"\n{image}\n[modalities.note]\nkind = "text"\npath = "{{id}}.txt"\n'
        )
        workspace = Workspace(tmp_path / "w")
        ledger = Ledger(workspace.ledger_url)
        found = api.ingest(read_description(tmp_path / "cohort.toml"), workspace, ledger)
        codes = {
            (row["case_id"], row["modality"]): row["code"]
            for row in ledger.quarantine().to_dict("records")
        }
        return found, codes, Store.open(workspace, "s")

    return make


def test_names_of_the_table_and_of_the_header_are_masked_in_the_notes_of_their_case(cohort):
    notes = {"c03": NOTE.format(3) + "Zelda03 QUAGMIRE03 was seen again; MRN-99887 of Xanthippe.\n"}
    images = {"c03": {"OtherPatientIDs": "MRN-99887", "PatientName": "Oddname^Xanthippe"}}
    found, codes, store = cohort(cases='identifiers = ["name"]', notes=notes, images=images)
    text = store.text("note", store.cases["case_id"].tolist().index("c03"))
    assert not codes and not any(
        word.lower() in text.lower() for word in ("Zelda", "Quagmire", "99887", "Xanthippe")
    ), text
    assert "Stable lesion" in text and found["modalities"]["note"]["masked"] >= 3


def test_identifiers_may_lie_in_a_file_of_their_own(cohort, tmp_path):
    (tmp_path / "who.csv").write_text("case_id,value\nc03,Featherstone\n")
    _, _, store = cohort(
        cases='identifiers = ["who.csv"]', notes={"c03": NOTE.format(3) + "Featherstone agreed.\n"}
    )
    assert "Featherstone" not in store.text("note", store.cases["case_id"].tolist().index("c03"))
    with pytest.raises(DescriptionError, match=r"'nobody\.csv' in cohort\.toml is not there"):
        cohort(cases='identifiers = ["nobody.csv"]')


def test_what_was_recorded_after_as_of_is_refused(cohort):
    notes = {"c04": "Date of report: 2024-05-01\n" + NOTE.format(4)}
    _, codes, _ = cohort(notes=notes, images={"c05": {"StudyDate": "20240302"}})
    assert codes == {("c04", "note"): "after_as_of", ("c05", "scan"): "after_as_of"}


def test_a_later_date_is_found_in_every_attribute_and_form(cohort):
    late = {
        "c01": "Lesion of 14 mm.\nElectronically signed on 06/15/2024 14:02\n",
        "c02": "Datum: 15.06.24\n" + NOTE.format(2),
        "c03": "Date of service: June 2024\n" + NOTE.format(3),
        "c04": NOTE.format(4) + "No change of the rest. " * 100 + "\nDate of report: 2024-06-15\n",
    }
    early = {
        "c05": NOTE.format(5) + "Next visit on 06/15/2024.\n",
        "c06": "Date: 01/02/2024\n" + NOTE.format(6),  # 1 February or 2 January
        "c07": "Date: 03/01/2024\n" + NOTE.format(7),  # one of its readings is as_of
    }
    images = {
        "c08": {"SeriesDate": "20240601"},
        "c09": {"StudyDate": "20240215", "AcquisitionDate": "20240601"},
        "c10": {"AcquisitionDateTime": "20240601101500"},
        "c11": {"ContentDate": "20240601"},
    }
    _, codes, _ = cohort(notes=late | early, images=images)
    assert codes == {
        **{(case, "note"): "after_as_of" for case in late},
        **{(case, "scan"): "after_as_of" for case in images},
    }


def test_a_note_that_states_its_label_is_refused_where_the_cohort_says_what_does(cohort):
    _, codes, _ = cohort(
        task='label_patterns = ["(?i)progress(es|ion)"]',
        notes={"c06": NOTE.format(6) + "Clear progression.\n"},
    )
    assert codes == {("c06", "note"): "label_in_note"}


def test_pixels_that_may_carry_text_are_refused_unless_the_cohort_accepts_them(cohort):
    images = {
        "c07": {"BurnedInAnnotation": "YES"},
        "c08": {"Modality": "US"},
        "c09": {"Modality": "US", "BurnedInAnnotation": "NO"},
    }
    _, codes, _ = cohort(images=images)
    assert codes == {("c07", "scan"): "burned_in", ("c08", "scan"): "burned_in"}
    assert cohort(image='burned_in = "accept"', images=images)[1] == {}


def test_a_case_keeps_its_other_modalities_or_is_refused_as_the_cohort_says(cohort):
    found, codes, _ = cohort(images={"c07": {"BurnedInAnnotation": "YES"}})
    assert found["cases"]["accepted"] == 12 and found["modalities"]["scan"]["quarantined"] == 1
    found, codes, store = cohort(
        cases='incomplete = "refuse"', images={"c07": {"BurnedInAnnotation": "YES"}}
    )
    assert (
        found["cases"]["quarantined"] == 1
        and codes[("c07", "")] == "incomplete"
        and "c07" not in set(store.cases["case_id"])
    )


def test_the_same_image_and_the_same_note_under_two_subjects_are_refused_on_both_sides(cohort):
    same = {"PixelData": np.arange(1024, dtype=np.uint16).tobytes()}
    note = NOTE.format("two") * 3
    found, codes, _ = cohort(images={"c01": same, "c02": same}, notes={"c10": note, "c11": note})
    assert codes == {
        ("c01", "scan"): "same_image",
        ("c02", "scan"): "same_image",
        ("c10", "note"): "same_note",
        ("c11", "note"): "same_note",
    }
    assert found["cases"] == {"in": 12, "accepted": 12, "quarantined": 0, "new": 12, "labelled": 12}


def test_two_images_of_one_case_that_name_two_patients_are_not_one_case(cohort, tmp_path):
    cohort()
    text = (tmp_path / "cohort.toml").read_text()
    for i in range(12):
        pixels = (
            np.random.default_rng(100 + i).integers(0, 4000, (32, 32)).astype(np.uint16).tobytes()
        )
        slice_ = make_slice(
            1,
            Rows=32,
            Columns=32,
            PixelData=pixels,
            StudyDate="20240301",
            PatientID="patient-99" if i == 4 else f"patient-{i:02d}",
        )
        slice_.save_as(tmp_path / f"c{i:02d}.second.dcm", enforce_file_format=True)
    (tmp_path / "cohort.toml").write_text(
        text.replace('name = "s"', 'name = "t"')
        + '[modalities.second]\nkind = "image"\npath = "{id}.second.dcm"\n'
    )
    workspace = Workspace(tmp_path / "w")
    ledger = Ledger(workspace.ledger_url)
    api.ingest(read_description(tmp_path / "cohort.toml"), workspace, ledger)
    assert ledger.quarantine("t")[["case_id", "modality", "code"]].to_numpy().tolist() == [
        ["c04", "second", "patient_mismatch"]
    ]


def test_a_table_that_holds_the_label_blocks_the_cohort(cohort, tmp_path):
    cohort()
    rows = "".join(f"c{i:02d},{i * 3 % 7},{5 if i % 2 else 2}\n" for i in range(12))
    (tmp_path / "genes.csv").write_text("id,G1,coded\n" + rows)
    text = (tmp_path / "cohort.toml").read_text().replace('name = "s"', 'name = "u"')
    (tmp_path / "cohort.toml").write_text(
        text + '[modalities.genes]\nkind = "table"\npath = "genes.csv"\nkey = "id"\n'
    )
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(ContractError, match=r"coded"):
        api.ingest(
            read_description(tmp_path / "cohort.toml"), workspace, Ledger(workspace.ledger_url)
        )


def test_a_misspelt_dicom_keyword_is_an_error_and_no_absence(cohort):
    with pytest.raises(DescriptionError, match=r"'SeriesDescriptoin' is none"):
        cohort(image='select = { SeriesDescriptoin = "FLAIR" }')


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ('label = "y"\npositive = "1"', "all 4 of the cohort s are in quarantine and none is left"),
        ("", "the cohort s has none: name a label"),
    ],
)
def test_training_on_what_was_refused_says_so(tmp_path, label, said):
    from mmdiag import recipes
    from mmdiag.experiment.plan import plan_run

    (tmp_path / "cases.csv").write_text("id,y\na,1\nb,0\nc,1\nd,0\n")
    (tmp_path / "lab.csv").write_text("id,x\na,1e31\nb,2e31\nc,3e31\nd,4e31\n")
    (tmp_path / "cohort.toml").write_text(
        '[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n[task]\n'
        f'kind = "binary"\n{label}\n[modalities.lab]\nkind = "table"\npath = "lab.csv"\nkey = "id"\n'
    )
    description, workspace = read_description(tmp_path / "cohort.toml"), Workspace(tmp_path / "w")
    found = api.ingest(description, workspace, Ledger(workspace.ledger_url))
    assert found["cases"]["accepted"] == 0
    with pytest.raises(UsageError, match=said):
        plan_run(description, workspace, recipes.default(fusion="concat"))
