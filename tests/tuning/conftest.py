"""A small cohort that is ingested once, and searches on copies of it."""

import shutil

import pytest
from search_builders import SPACE, TRIALS, quick


@pytest.fixture(scope="package")
def ingested(tmp_path_factory):
    """A phantom that was ingested, its features stored; nobody may change it."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.experiment.run import open_data
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.tuning import trials
    from mmdiag.workspace import Workspace

    place = tmp_path_factory.mktemp("search")
    write_phantom(place / "cohort", cases=40, seed=4, missing=0.1)
    description, workspace = (
        read_description(place / "cohort" / "cohort.toml"),
        Workspace(place / "workspace"),
    )
    workspace.path.mkdir()
    api.ingest(description, workspace, Ledger(workspace.ledger_url))
    open_data(trials.start(description, workspace, quick(), 1, SPACE))
    return description, workspace


@pytest.fixture
def begun(ingested, tmp_path):
    """Begin a search on a copy; `begun(name)` gives its run."""
    from mmdiag.tuning import trials
    from mmdiag.workspace import Workspace

    description, workspace = ingested

    def begin(name="w", config=None, n_trials=TRIALS, **options):
        shutil.copytree(workspace.path, tmp_path / name, ignore=shutil.ignore_patterns("runs"))
        return trials.start(
            description,
            Workspace(tmp_path / name),
            config or quick(),
            n_trials,
            options.pop("space", SPACE),
            **options,
        )

    return begin
