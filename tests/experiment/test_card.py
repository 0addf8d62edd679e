"""The card names the pretrained weights of each modality's encoder, on what terms, and how the model
was judged.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from vision_builders import write_tiny_vision_model


def test_each_pretrained_encoder_is_named_with_its_type_revision_and_licence(tmp_path):
    from mmdiag.config import ImageConfig
    from mmdiag.encoders.vision_model import vision_weights
    from mmdiag.experiment.card.made_of import lines_of, made_of
    from mmdiag.prepare import Preparation
    from mmdiag.recipes import default

    where = write_tiny_vision_model(tmp_path / "tiny")
    image = ImageConfig(encoder="transformers", weights=str(where))
    weights = vision_weights(str(where))
    note = {"source": "package words", "revision": "0.1.0", "sha256": "ab" * 32, "licence": "mit"}
    found = made_of(
        dataclasses.replace(default(), image=image),
        {
            "flair": Preparation(kind="image", source=weights.record()),
            "report": Preparation(kind="text", source=note),
            "expression": Preparation(kind="table"),
        },
    )
    lines = lines_of(found)
    assert lines == [
        "- Encoder of flair: transformers dinov2 folder tiny, revision none, SHA-256 "
        f"{weights.sha256[:12]}, licence not stated.",
        "- Encoder of report: package words, revision 0.1.0, SHA-256 abababababab, licence mit.",
    ]
    assert str(tmp_path) not in "".join(lines), "a path of the machine says too much"


def test_the_card_of_a_bundle_says_how_it_was_judged_and_its_facts_the_same(small_run):
    folder = Path(small_run.answer["bundle"]["path"])
    facts, text = json.loads((folder / "card.json").read_text()), (folder / "card.md").read_text()
    assert facts["learned_from"]["cases"] == small_run.answer["cases"]["labelled"]
    fused = small_run.metric("fused")
    told = next(
        row for row in facts["metrics"] if row["model"] == "fused" and row["metric"] == "auroc"
    )
    assert told["value"] == pytest.approx(fused["value"], abs=1e-4) and told["n"] == fused["n"]
    assert f"{fused['value']:.2f} ({fused['low']:.2f} to {fused['high']:.2f})" in text
    models = {row["model"] for row in facts["metrics"]}
    assert {"fused", "baseline:late_fusion", "flair", "report"} <= models
    assert facts["verdict"] in text.replace("\\|", "|") and facts["cohort"]["hash"] in text
    quarantined = {m["name"]: m["quarantined"] for m in facts["modalities"]}
    assert quarantined == {
        name: counts["quarantined"] for name, counts in small_run.answer["modalities"].items()
    }
    assert "not a medical device" in text and "\n\n\n" not in text and "None" not in text
    assert sum(one["cases"] for one in facts["task"]["classes"]) == facts["learned_from"]["cases"]


def test_the_card_tells_the_figure_of_each_label_of_several():
    """A mean over labels hides the one that the model does not find."""
    from mmdiag.experiment.card.text import _by_label

    metrics = [
        {"model": model, "metric": name, "value": value, "low": 0.4, "high": 0.9, "n": n}
        | {"n_positive": 8}
        for model in ("fused", "labs")
        for name, value, n in (("auroc", 0.66, 90), ("auroc_rare", 0.54, 78))
    ]
    classes = [{"value": "rare", "name": "Rare finding", "cases": 8}]
    lines = _by_label({"metrics": metrics, "task": {"kind": "multilabel", "classes": classes}})
    assert lines[-1] == "| Rare finding | 0.54 (0.40 to 0.90) | 78 | 8 |" and len(lines) == 3
    assert not _by_label({"metrics": metrics[:1], "task": {"kind": "binary"}})


def test_a_part_with_too_few_cases_for_a_figure_is_named():
    from mmdiag.experiment.card.facts import _where_several
    from mmdiag.experiment.card.text import _by

    known = {"column": "site", "subgroup": "B", "metric": "auroc", "value": 0.8, "low": 0.7}
    rows = [known | {"high": 0.9, "n": 40}, known | {"subgroup": "A", "value": None, "n": 12}]
    kept = _where_several(rows, "subgroup")
    shown = _by(kept, "cases with", lambda row: f"{row['column']}: {row['subgroup']}")
    assert "| site: A | too few | 12 |" in shown and len(kept) == 2
    assert not _where_several(rows[:1], "subgroup"), "all cases are of one site"


def test_a_card_that_was_interrupted_gives_the_same_bundle_and_one_that_is_there_is_left(
    small_run, tmp_path
):
    from mmdiag.experiment.evaluate import evaluate
    from mmdiag.experiment.run import Run
    from mmdiag.inference.bundle import Bundle

    place = shutil.copytree(small_run.workspace.path, tmp_path / "w")
    run = Run.open(place / "runs" / small_run.folder.name)
    final, published = run.fitted(run.final), run.bundle_folder(run.final)
    card = (published / "card.json").read_bytes()
    evaluate(run)
    assert run.fitted(run.final) == final and (published / "card.json").read_bytes() == card
    # as it is before the run is evaluated
    loaded = dataclasses.replace(Bundle.load(published), card="short", card_facts={})
    identity, where = loaded.save(run.fit_folder(run.final))
    before = final | {"bundle_id": identity, "bundle": str(where.relative_to(place))}
    (run.fit_folder(run.final) / "fit.json").write_text(json.dumps(before))
    assert not (where / "card.json").exists() and Bundle.load(where).card == "short"
    evaluate(run)
    assert run.fitted(run.final) == final and not where.exists()
    assert [path.name for path in run.workspace.bundles.iterdir()] == [final["bundle_id"]]
