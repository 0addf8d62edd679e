"""The path of a cohort as plain calls. `flows/full.py` is the same path with retries and a
schedule; both give the same files.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiag.config import RunConfig
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.explain.choice import FULL, MODALITIES, require_choice
from mmdiag.roles import require_operator
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.turns import WAITS, WAITS_FOR_RUN, alone, turn
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    from mmdiag.experiment.run import Run
    from mmdiag.inference.bundle import Bundle as LoadedBundle
    from mmdiag.tuning.space import Space

Report = Callable[..., None]  # report(stage, done, total, detail="")
Detail = Callable[[int, int, str], None]


def ingest(
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    *,
    wanted: Mapping[str, Sequence[str]] | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Read what is new in a cohort; returns `cohort`, `cases` and `modalities`.

    Args:
        wanted: Table modality -> the columns that a bundle reads, for cases that are to be scored;
            see
            `mmdiag.inference.score.wanted_columns`.
    """
    from mmdiag.cohort.unchanged import look, recall, remember

    waiting = partial(tell, progress, "ingest", 0, 0, WAITS)
    folder = workspace.cohort(description.name)
    with turn(workspace, description.name, waiting):
        seen = look(description, folder, wanted)
        known = recall(description, folder, seen, ledger)
        if known is not None:
            return known
        from mmdiag.ingest import plan as ingestion
        from mmdiag.ingest.commit import commit

        plans = ingestion.plan(description, workspace, wanted=wanted)
        for number, shard in enumerate(plans, 1):
            ingestion.ingest_shard(shard)
            tell(progress, "ingest", number, len(plans))
        summary = commit(description, workspace, ledger, absent=wanted is not None)
        found = dataclasses.asdict(summary)
        remember(folder, seen, found)
    return found


def require_trainable(description: Description, workspace: Workspace, config: RunConfig) -> None:
    """See, before anything of a cohort is read or written, whether it could be trained on.

    Raises:
        UsageError: It could not, or the user's role only looks or reviews.
    """
    from mmdiag.experiment.plan import require

    require_operator(workspace.path)
    require(description, workspace, config)


def compare(
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    config: RunConfig,
    *,
    processes: int = 1,
    explain: str = MODALITIES,
    full_for: int | None = None,
    labels_by_review: Mapping[str, int] | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest, train, evaluate, explain and publish; returns what `mmdiag run --json` shows.

    Args:
        processes: Processes of each fit, on GPUs one each, which train one network; 1 = this
            process alone.
        explain: `full` = the regions, words and genes of every held-out case as well, which the
            same run may be given later; `none` or `modalities` = of a case once it is asked for.
        full_for: Of so many cases, the abstained and most uncertain; None = of all.
        labels_by_review: As of `mmdiag.experiment.plan.plan_run`.
    """
    from mmdiag.experiment.plan import plan_run

    require_choice(explain, full_for)
    if config.ensembles and processes > 1:
        raise UsageError(
            "An ensemble's networks are small and train together in one process, found "
            f"{processes} processes of each fit: leave --processes out, or name a family, such as "
            "--fusion cross_modal."
        )
    if processes > 1:
        config = config.as_one_network()
    require_trainable(description, workspace, config)
    found = ingest(description, workspace, ledger, progress=progress)
    return found | _complete(
        plan_run(description, workspace, config, labels_by_review=labels_by_review),
        ledger,
        processes=processes,
        explain=explain,
        full_for=full_for,
        progress=progress,
    )


def search_and_compare(
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    config: RunConfig,
    *,
    trials: int,
    space: "Space | None" = None,
    fusion: bool = False,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest, search the values of every model, and go on as `compare` does; returns what `mmdiag
    search --json` shows.

    Args:
        trials: Trials of each model.
        space: What is searched; None = the default space, with the fusion's family where `fusion`
            says so.
    """
    from mmdiag.tuning import trials as search_trials
    from mmdiag.workers import pool

    require_trainable(description, workspace, config)
    search_trials.require(description, config, trials, space, fusion=fusion)
    found = ingest(description, workspace, ledger, progress=progress)
    run = search_trials.start(description, workspace, config, trials, space, fusion=fusion)
    fits = [str(fit) for fit in run.fits]
    with alone(run.folder, partial(tell, progress, "search", 0, 0, WAITS_FOR_RUN)):
        tell(progress, "search", 0, len(fits))
        pool.each(
            pool.SEARCH,
            run.folder,
            fits,
            lambda done, text: tell(progress, "search", done, len(fits), text),
        )
    return (
        found | {"search": search_trials.summary(run)} | _complete(run, ledger, progress=progress)
    )


def _complete(
    run: "Run",
    ledger: Ledger,
    *,
    processes: int = 1,
    explain: str = MODALITIES,
    full_for: int | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Train, evaluate, explain and publish a run that was laid out; a second process that is asked
    the same waits, and finds it done.
    """
    with alone(run.folder, partial(tell, progress, "train", 0, 0, WAITS_FOR_RUN)):
        _fit_all(run, processes, progress)
        return _finish(run, ledger, explain, full_for, progress)


def _fit_all(run: "Run", processes: int, progress: Report | None) -> None:
    from mmdiag.workers import pool

    fits = [str(fit) for fit in run.fits]
    tell(progress, "train", 0, len(fits))
    if processes > 1:
        _fit_together(run, processes, progress)
        return
    pool.each(
        pool.FIT,
        run.folder,
        fits,
        lambda done, what: tell(progress, "train", done, len(fits), what),
    )


def _finish(
    run: "Run", ledger: Ledger, explain: str, full_for: int | None, progress: Report | None
) -> dict[str, Any]:
    """Evaluate, explain and publish a run whose models are fitted."""
    from mmdiag.experiment.evaluate import evaluate
    from mmdiag.experiment.publish import publish
    from mmdiag.explain.checks import check_once
    from mmdiag.explain.run import chunks
    from mmdiag.workers import pool

    evaluate(run)
    parts = chunks(run, explain, full_for)
    pool.each(
        pool.EXPLAIN,
        run.folder,
        parts,
        lambda done, _: tell(progress, "explain", done, len(parts)),
    )
    answer = publish(run, ledger)
    if explain == FULL:
        answer["checks"] = check_once(run.workspace, run.bundle_folder(run.final), progress)
    return answer


def pretrain(
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    config: RunConfig,
    what: Sequence[str],
    *,
    epochs: int | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest what is new, then learn weights without labels; returns what `mmdiag pretrain --json`
    shows.

    Args:
        config: The recipe whose encoders are to begin with them.
        what: Of `image`, `text`, `contrastive`.
        epochs: Of each; None = what is usual for it.
    """
    from mmdiag.pretraining import run as pretraining

    pretraining.require(description, config, what)
    found = ingest(description, workspace, ledger, progress=progress)
    folder = pretraining.start(description, workspace, config, what, epochs=epochs)
    units = pretraining.units(folder)
    with alone(folder, partial(tell, progress, "pretrain", 0, 0, WAITS_FOR_RUN)):
        for number, name in enumerate(units):
            tell(progress, "pretrain", number, len(units), name)
            pretraining.pretrain(
                folder, name, progress=detail(progress, "pretrain", number, len(units), name)
            )
        tell(progress, "pretrain", len(units), len(units))
        return found | pretraining.finish(folder)


def begin_with(workspace: Workspace, config: RunConfig, pretrained: str) -> RunConfig:
    """A configuration whose encoders begin with the weights of a pretraining.

    Args:
        pretrained: Its id; empty = none.

    Raises:
        UsageError: The workspace has no finished pretraining of this id.
    """
    if not pretrained:
        return config
    from mmdiag.pretraining.weights import Pretraining

    Pretraining.open(workspace, pretrained)
    return dataclasses.replace(config, pretrained=pretrained)


def bundle_folder(workspace: Workspace, which: str) -> Path:
    """The folder of a bundle that is named by its id in the workspace, or by its folder; the model
    of a run's fold has an id, too.

    Raises:
        UsageError: There is neither.
    """
    own, named = workspace.bundle(which), Path(which).expanduser()
    if own is not None:
        return own
    if not named.is_dir():
        raise UsageError(
            f"A bundle is named by its id in the workspace or by its folder, {which!r} is "
            "neither: `mmdiag status` lists the bundles."
        )
    return named.resolve()


def model_in_use(
    workspace: Workspace, ledger: Ledger | None, cohort: str, bundle: str | None = None
) -> Path:
    """The folder of a bundle that is named, else of a cohort's champion.

    Raises:
        UsageError: There is none, or the cohort has no champion; it is never guessed.
    """
    from mmdiag.record.models import champion_folder

    if bundle:
        return bundle_folder(workspace, bundle)
    return champion_folder(workspace, ledger, cohort)


def open_bundle(
    bundle: Path, description: Description, ledger: Ledger | None, trust: Path | None = None
) -> "LoadedBundle":
    """Load a bundle and see whether it can score a cohort here; nothing is written.

    Args:
        trust: Public key of whom it must be signed by.

    Raises:
        BundleError: It is none, was changed, or is not signed by whom is trusted.
        UsageError: It cannot score this cohort.
    """
    from mmdiag.inference import score as inference

    if trust is not None:
        from mmdiag.inference.signature import verify

        verify(bundle, trust)
    return inference.open_bundle(bundle, description, ledger)


def require_judgeable(
    bundle: "LoadedBundle", description: Description, workspace: Workspace
) -> None:
    """See, before anything of a cohort is read or written, whether a bundle can be judged on it.

    Raises:
        UsageError: It has another task, or no label of a subject that the bundle has not seen.
    """
    from mmdiag.inference.validate import require_judgeable as require

    require(bundle, description, workspace)


def validate(
    bundle: "LoadedBundle",
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    *,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest what is new, then judge a bundle on the labelled cases that it has not seen; returns
    what `mmdiag validate --json` shows.
    """
    from mmdiag.inference import score as inference
    from mmdiag.inference import validate as validation

    validation.require_judgeable(bundle, description, workspace)
    wanted = inference.wanted_columns(bundle)
    found = ingest(description, workspace, ledger, wanted=wanted, progress=progress)
    waiting = partial(tell, progress, "validate", 0, 0, WAITS)
    with turn(workspace, description.name, waiting):
        return found | validation.validate(
            bundle, description, workspace, detail(progress, "validate")
        )


def _fit_together(run: "Run", processes: int, progress: Report | None) -> None:
    """One fit after the other, each by several processes."""
    from mmdiag.workers import launch as distributed

    total = len(run.fits)
    for number, name in enumerate(run.fits):
        report = detail(progress, "train", number, total, str(name))
        distributed.fit(run, name, processes, report)
    tell(progress, "train", total, total)


def tell(progress: Report | None, stage: str, done: int, total: int, detail: str = "") -> None:
    if progress:
        progress(stage, done, total, detail)


def detail(
    progress: Report | None, stage: str, number: int = 0, total: int = 0, name: str = ""
) -> Detail | None:
    """What a single unit of work is given to report to: its text goes beside the stage's bar, or
    its numbers are the bar where the stage is one unit.
    """
    if progress is None:
        return None

    def report(done: int, of: int, text: str) -> None:
        if total:
            progress(stage, number, total, f"{name} {done}/{of}: {text}")
        else:
            progress(stage, done, of, text)

    return report
