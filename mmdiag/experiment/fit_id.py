"""`FitId`: one model of a run, named by the part of the split that it is held out on and by what it
has.
"""

from dataclasses import dataclass

from mmdiag.evaluation.verdict import FUSED

ALL, TEST = "all", "test"


@dataclass(frozen=True, slots=True, order=True)
class FitId:
    """One model of a run.

    Args:
        fold: The part of the split that is held out: `fold-0` ..., `test`, or `all` for the model
            that learns from every labelled subject.
        model: `fused`, or the name of the one modality that it has.
    """

    fold: str
    model: str

    @staticmethod
    def parse(text: str) -> "FitId":
        """Read `fold-0.fused`: the name of a fit's folder, in run.json and on command lines."""
        fold, _, model = text.partition(".")
        return FitId(fold, model)

    def __str__(self) -> str:
        return f"{self.fold}.{self.model}"

    @property
    def fused(self) -> bool:
        """Whether it has all modalities."""
        return self.model == FUSED
