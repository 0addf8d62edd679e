"""One small cohort, and one finished contrastive pretraining of it."""

from types import SimpleNamespace

import pytest
from encoder_builders import write_tiny_text_model
from pretrain_builders import CASES, UNLABELLED, forget_labels, make_config


@pytest.fixture(scope="package")
def cohort(tmp_path_factory):
    """A phantom of 30 cases, the last 8 of them without a label, ingested. Nobody may change it."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.storage.store import Store
    from mmdiag.workspace import Workspace

    folder = tmp_path_factory.mktemp("pretrain")
    write_phantom(folder / "cohort", cases=CASES, seed=3, signal="redundant", missing=0.1)
    forget_labels(folder / "cohort", range(CASES - UNLABELLED, CASES))
    workspace, description = (
        Workspace(folder / "workspace"),
        read_description(folder / "cohort" / "cohort.toml"),
    )
    ledger = Ledger(workspace.ledger_url)
    api.ingest(description, workspace, ledger)
    tiny = write_tiny_text_model(folder / "tiny")
    return SimpleNamespace(
        description=description,
        workspace=workspace,
        ledger=ledger,
        store=Store.open(workspace, description.name),
        tiny=tiny,
        file=folder / "cohort" / "cohort.toml",
    )


@pytest.fixture
def few_are_enough(monkeypatch):
    from mmdiag.pretraining import run

    monkeypatch.setattr(run, "LEAST", dict.fromkeys(run.LEAST, 5))


@pytest.fixture(scope="package")
def aligned(cohort):
    """A finished contrastive pretraining of every part."""
    from mmdiag.pretraining import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "LEAST", dict.fromkeys(run.LEAST, 5))
        folder = run.start(
            cohort.description, cohort.workspace, make_config(), ["contrastive"], epochs=3
        )
    for unit in run.units(folder):
        run.pretrain(folder, unit)
    run.finish(folder)
    return folder
