"""Is the default worth having? Against the models that a user could write in an afternoon.

Thirteen tasks of four real cohorts, binary and survival, 52 to 1 436 cases. For each task repeated
cross-validation by subject, the same folds for everybody:

late fusion    the peer: one scikit-learn model a modality (TF-IDF, standardised columns,
               statistics; logistic regression or ridge Cox, penalty by inner folds), the mean
best single    of these the modality that inner folds of the training part find best
ensemble       the default of the product, as `mmdiag train` fits it
FAMILY         any fusion of the product, such as concat, with the default recipe
autogluon      a second peer (binary tasks), by the Python of its environment that `--peer` names:
               see autogluon_peer.py

The metric is the AUROC or C-index of pairs within a test fold, averaged over folds and repeats; its
intervals draw subjects, or what the cohort keeps together. Answers are kept fold by fold: a run
that was stopped goes on.

python benchmarks/accuracy.py --data DIR --out DIR [--tasks lgg_grade ...] [--models ensemble ...]
                              [--repeats 3] [--peer PYTHON]
"""

import argparse
import json
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from autogluon_peer import autogluon
from sklearn.model_selection import StratifiedGroupKFold

from mmdiag import api, recipes
from mmdiag.cohort.kept_together import split_units
from mmdiag.cohort.splits import validation_subjects
from mmdiag.config import RunConfig
from mmdiag.description import read_description
from mmdiag.evaluation.bootstrap import bootstrap_weights
from mmdiag.evaluation.concordance import concordance
from mmdiag.evaluation.ranking import auroc
from mmdiag.experiment import late_fusion
from mmdiag.experiment.fit import Learned, learn, learn_ensemble
from mmdiag.experiment.run import RunData
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.prepare.batches import prepare_samples
from mmdiag.prepare.extract import extractor
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.privacy.subject_keys import SubjectKeys
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

COHORTS = Path(__file__).parents[1] / "tests" / "cohorts"
FOLDS, RESAMPLES = 5, 1000
LATE, SINGLE, ENSEMBLE = "late fusion", "best single", "ensemble"
AUTOGLUON = "autogluon"
BINARY, SURVIVAL = Task(kind="binary", classes=("0", "1")), Task(kind="survival")


@dataclass(frozen=True)
class Question:
    """One task: what is predicted of which cases of a cohort, from which modalities."""

    cohort: str
    modalities: tuple[str, ...]
    label: Mapping[str, int] | None = None
    column: str = ""
    time: str = ""
    event: str = ""
    only: tuple[str, str] = ("", "")


LGG = ("flair", "t1gd", "report", "expression")
GLIOMA = ("report", "expression", "alterations")
PAN = ("report", "genomics")
COVID = ("radiograph", "clinical_note", "laboratory")
YES_NO = {"Y": 1, "N": 0}
COVID_19 = {"COVID-19": 1, "Other pneumonia": 0, "No Finding": 0}
MGMT = {"Methylated": 1, "Unmethylated": 0}
TASKS = {
    "lgg_prog24": Question("lgg", LGG, {"1.0": 1, "0.0": 0}, "label_progressed_24m"),
    "lgg_grade": Question("lgg", LGG, {"G3": 1, "G2": 0}, "label_grade"),
    "lgg_os": Question("lgg", LGG, time="os_days", event="os_event"),
    "gli_surv": Question("glioma", GLIOMA, time="Survival..months.", event="Vital.status..1.dead."),
    "gli_grade23": Question("glioma", GLIOMA, {"G3": 1, "G2": 0}, "Grade"),
    "gli_idh": Question("glioma", ("report", "copy_number"), {"Mutant": 0, "WT": 1}, "IDH.status"),
    "gli_mgmt": Question("glioma", GLIOMA, MGMT, "MGMT.promoter.status"),
    "pan_surv": Question("pancancer", PAN, time="survival_months", event="death"),
    "kirc_surv": Question(
        "pancancer", PAN, time="survival_months", event="death", only=("cancer", "kirc")
    ),
    "lihc_surv": Question(
        "pancancer", PAN, time="survival_months", event="death", only=("cancer", "lihc")
    ),
    "cov_dx": Question("covid_cxr", COVID, COVID_19, "label"),
    "cov_icu": Question("covid_cxr", COVID, YES_NO, "went_icu"),
    "cov_death": Question("covid_cxr", COVID, {"N": 1, "Y": 0}, "survival"),
}
MORE = """
[modalities.copy_number]
kind = "table"
path = "genomics_rna_cnv_mut.csv"
key = "pid"
columns = "*_cnv"
"""


class _Part:
    """A cohort's store, seen with another task and fewer modalities."""

    def __init__(self, store: Store, task: Task, modalities: Sequence[str]) -> None:
        self._store, self.task = store, task
        self.modalities = {name: store.modalities[name] for name in modalities}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def ingested(name: str, data: Path, out: Path) -> Store:
    """The store of a cohort, which is read once."""
    text = (COHORTS / f"{name}.toml").read_text()
    root = tomllib.loads(text)["cohort"]["root"]
    text = text.replace(f'"{root}"', json.dumps(str((data / name).resolve())))
    file = out / f"{name}.toml"
    file.write_text(text + (MORE if name == "glioma" else ""))
    workspace, description = Workspace(out / "workspace"), read_description(file)
    api.ingest(description, workspace, Ledger(f"sqlite:///{out / 'workspace' / 'ledger.db'}"))
    return Store.open(workspace, description.name)


def question_data(name: str, store: Store, data: Path, config: RunConfig) -> RunData:
    """A cohort as a run has it, with the labels of one task."""
    question = TASKS[name]
    table = pd.read_csv(data / question.cohort / "cohort.csv", dtype=str, keep_default_na=False)
    if question.cohort == "covid_cxr":
        keys = table["patientid"] + "-" + table["filename"]
    else:
        keys = table["patient_id"]
    table = table.assign(key=keys).drop_duplicates("key").set_index("key")
    table = table.reindex(store.cases["case_id"])
    cases = store.cases.assign(label=np.nan, time=np.nan, event=np.nan)
    if question.label is not None:
        cases["label"] = table[question.column].map(question.label).to_numpy(float)
    else:
        times = {"time": question.time, "event": question.event}
        for ours, theirs in times.items():
            cases[ours] = pd.to_numeric(table[theirs], errors="coerce").to_numpy(float)
        cases.loc[~(cases["time"] > 0), ["time", "event"]] = np.nan
    column, value = question.only
    if column:
        cases.loc[(table[column] != value).to_numpy(), ["label", "time", "event"]] = np.nan
    task = BINARY if question.label is not None else SURVIVAL
    part: Any = _Part(store, task, question.modalities)
    raws = {
        modality: raw_features(store, modality, extractor(kind, config))
        for modality, kind in part.modalities.items()
    }
    return RunData(part, cases, raws, {})


def folds_of(data: RunData, repeat: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and to judge; a subject, and what is kept together, is on one side."""
    has = np.any([data.store.present(name) for name in data.store.modalities], axis=0)
    rows = data.labelled[has[data.labelled]]
    column = "event" if data.store.task.survival else "label"
    strata = data.cases[column].to_numpy(int)[rows] if len(rows) else rows
    units = split_units(data.cases).to_numpy(str)[rows]
    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat)
    for train, test in split.split(rows, strata, units):
        yield rows[np.sort(train)], rows[np.sort(test)]


def answers(
    model: str,
    data: RunData,
    train: np.ndarray,
    test: np.ndarray,
    out: Path,
    blanks: np.ndarray,
    fold: str,
    peer: str = "",
) -> tuple[np.ndarray, np.ndarray]:
    """Chances of the test cases by a model, and with one modality of each blanked."""
    if model == AUTOGLUON:
        return autogluon(peer, data, train, test, blanks)
    if model in (LATE, SINGLE):
        names = list(data.store.modalities)
        names = names if model == LATE else [_best(data, train, names)]
        return _rival(data, names, train, test, None), _rival(data, names, train, test, blanks)
    config = configuration(model)
    names = list(data.store.modalities)
    if config.reads_blocks:
        learned = learn_ensemble(data, config, names, train, fold=fold)
    else:
        column = "event" if data.store.task.survival else "label"
        cases = data.cases.assign(stratum=data.cases[column]).iloc[train]
        valid = cases["subject_id"].isin(validation_subjects(cases, 0.15, fold)).to_numpy()
        learned = learn(data, config, names, train[~valid], train[valid], out / "fit")
    bundle = bundle_of(learned, config, data)
    samples = prepare_samples(learned.preparations, data.raws, test.tolist())
    blanked = [
        {name: arrays for name, arrays in sample.items() if names.index(name) != blank}
        for sample, blank in zip(samples, blanks, strict=True)
    ]
    return tuple(  # type: ignore[return-value]
        diagnose(bundle, part, contributions=False)["probability"].to_numpy()
        for part in (samples, blanked)
    )


def bundle_of(learned: Learned, config: RunConfig, data: RunData) -> Bundle:
    """A model as scoring asks it; it is not saved, and knows no subjects."""
    return Bundle(
        config=config,
        model=learned.trained.model,
        preparations=learned.preparations,
        task=learned.task,
        kinds=data.store.modalities,
        cohort={},
        trained_on=SubjectKeys("", frozenset()),
    )


def configuration(model: str) -> RunConfig:
    """The default recipe with a fusion."""
    return recipes.default(fusion=model)


def _rival(
    data: RunData,
    names: Sequence[str],
    train: np.ndarray,
    test: np.ndarray,
    blanks: np.ndarray | None,
) -> np.ndarray:
    """The mean of one plain model a modality."""
    target, units = late_fusion._Target.of(data), split_units(data.cases).to_numpy(str)
    total, count = np.zeros(len(test)), np.zeros(len(test))
    for number, name in enumerate(data.store.modalities):
        if name not in names:
            continue
        there = data.store.present(name)
        seen = there[test] if blanks is None else there[test] & (blanks != number)
        learned = train[there[train]]
        if not seen.any() or not target.can_be_learned(learned):
            continue
        given, asked = late_fusion._features(data, name)(learned, test[seen])
        total[seen] += target.fit(given, learned, units[learned], asked)[:, 0]
        count[seen] += 1
    scores = np.where(count > 0, total / np.maximum(count, 1), target.prior(train)[0])
    return target.chances(scores[:, None])[:, 0]


def _best(data: RunData, train: np.ndarray, names: Sequence[str]) -> str:
    """The modality that inner folds find best."""
    column = "event" if data.store.task.survival else "label"
    strata = data.cases[column].to_numpy(int)[train]
    units = split_units(data.cases).to_numpy(str)[train]
    split = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    found = {name: list[float]() for name in names}
    for inner, judged in split.split(train, strata, units):
        for name in names:
            chances = _rival(data, [name], train[inner], train[judged], None)
            value = measure(data, train[judged], chances)(np.ones((1, len(judged))))[0]
            found[name].append(float(value))
    return max(names, key=lambda name: float(np.nanmean(found[name])))


def measure(data: RunData, rows: np.ndarray, chances: np.ndarray) -> Callable[[Any], np.ndarray]:
    """The metric of some cases under the weights of resamples."""
    part = data.cases.iloc[rows]
    if data.store.task.survival:
        return concordance(part["time"].to_numpy(), part["event"].to_numpy(), chances)
    return auroc(part["label"].to_numpy(), chances)


def run_task(
    name: str, data: RunData, models: Sequence[str], repeats: int, out: Path, peer: str = ""
) -> dict[str, dict[str, np.ndarray]]:
    """Model -> what every resample of subjects gives: `metric`, `blank`, and `brier`; row 0 is the
    cohort itself.
    """
    drawn = [np.ones((1, len(data.cases)))]
    drawn += list(bootstrap_weights(split_units(data.cases).to_numpy(), RESAMPLES, seed=0))
    weights = np.concatenate(drawn)
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for repeat in range(repeats):
        for fold, (train, test) in enumerate(folds_of(data, repeat)):
            blanks = _blanks(data, test, repeat)
            for model in models:
                file = out / "answers" / f"{name}-{model.replace(' ', '_')}-{repeat}-{fold}.npz"
                if not file.is_file():
                    file.parent.mkdir(exist_ok=True)
                    whole, blanked = answers(
                        model, data, train, test, out, blanks, f"{repeat}-{fold}", peer
                    )
                    np.savez(file, whole=whole, blanked=blanked)
                    print(f"{name} {model} repeat {repeat} fold {fold}", flush=True)
                with np.load(file) as kept:
                    whole, blanked = kept["whole"], kept["blanked"]
                own = found.setdefault(model, {"metric": [], "blank": [], "brier": []})
                own["metric"].append(measure(data, test, whole)(weights[:, test]))
                own["blank"].append(measure(data, test, blanked)(weights[:, test]))
                own["brier"].append(_brier(data, test, whole, weights[:, test]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without any positive case
        return {
            model: {key: np.nanmean(np.stack(parts), axis=0) for key, parts in own.items()}
            for model, own in found.items()
        }


def _blanks(data: RunData, test: np.ndarray, repeat: int) -> np.ndarray:
    """The modality that is taken away from each test case that has several; -1 = none."""
    there = np.stack([data.store.present(name)[test] for name in data.store.modalities], axis=1)
    order = np.random.default_rng(repeat).random(there.shape)
    return np.where(there.sum(1) > 1, np.where(there, order, -1).argmax(1), -1)


def _brier(data: RunData, rows: np.ndarray, chances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if data.store.task.survival:
        return np.full(len(weights), np.nan)
    errors = (chances - data.cases["label"].to_numpy(float)[rows]) ** 2
    with np.errstate(invalid="ignore"):
        found: np.ndarray = weights @ errors / weights.sum(1)
    return found


def table_of(results: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> str:
    """Markdown: each task's metric of each model, the difference to late fusion, and the means; of
    the default also the difference to the best single modality.
    """
    models = list(next(iter(results.values())))
    also = [f"{ENSEMBLE} less {SINGLE}"] if {ENSEMBLE, SINGLE} <= set(models) else []
    header = [*models, *also]
    lines = [f"| task | {' | '.join(header)} |", "|---" * (len(header) + 1) + "|"]

    def line(name: str, values: Mapping[str, np.ndarray]) -> str:
        cells = [_cell(values[m], None if m == LATE else values.get(LATE)) for m in models]
        cells += [_difference(values[ENSEMBLE] - values[SINGLE]) for _ in also]
        return f"| {name} | {' | '.join(cells)} |"

    rows = [
        (name, {model: found[model]["metric"] for model in models})
        for name, found in results.items()
    ]
    means = {m: np.mean([values[m] for _, values in rows], axis=0) for m in models}
    lines += [line(name, values) for name, values in [*rows, ("mean", means)]]
    for key, title in (("blank", "one modality blanked"), ("brier", "Brier, binary tasks")):
        total = {
            m: np.nanmean([found[m][key] for found in results.values()], axis=0) for m in models
        }
        lines.append(line(title, total))
    return "\n".join(lines)


def _cell(values: np.ndarray, peer: np.ndarray | None) -> str:
    if peer is None:
        return f"{values[0]:.3f}"
    return f"{values[0]:.3f} ({_difference(values - peer).replace(' (', ', ', 1)}"


def _difference(less: np.ndarray) -> str:
    """A difference with its interval over resamples."""
    low, high = np.nanquantile(less[1:], [0.025, 0.975])
    return f"{less[0]:+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Run what is asked, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--models", nargs="+", default=[LATE, SINGLE, ENSEMBLE])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", default="", help="Python with autogluon.tabular")
    asked = parser.parse_args()
    if AUTOGLUON in asked.models and not asked.peer:
        parser.error("autogluon needs --peer: see autogluon_peer.py")
    (asked.out / "workspace").mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    results, stores = {}, dict[str, Store]()
    for name in asked.tasks:
        cohort = TASKS[name].cohort
        if cohort not in stores:
            stores[cohort] = ingested(cohort, asked.data, asked.out)
        data = question_data(name, stores[cohort], asked.data, configuration(ENSEMBLE))
        results[name] = run_task(name, data, asked.models, asked.repeats, asked.out, asked.peer)
        print(table_of({name: results[name]}), flush=True)
    print(table_of(results))


if __name__ == "__main__":
    main()
