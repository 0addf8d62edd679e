"""Members of an ensemble as modules: a linear map of all features of a modality, or small trees on
them. What is in them is fitted by `mmdiag.ensemble`; they are never trained by gradients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdiag.ensemble.trees import Trees
from mmdiag.prepare.blocks.preparation import BUCKETS, COLUMNS, MISSING, BlockPreparation

RIDGE, TREE = "ridge", "trees"
MOST_WORDS = 2000  # buckets that trees on words are offered


@dataclass(frozen=True, slots=True)
class MemberForm:
    """One member of a modality, before anything is fitted.

    Args:
        kind: `RIDGE` or `TREE`.
        blocks: The blocks of features that it is given together.
    """

    kind: str
    blocks: tuple[str, ...]

    @property
    def name(self) -> str:
        """`ridge of words and characters`."""
        return f"{self.kind} of {' and '.join(self.blocks)}"


def forms_of(preparation: BlockPreparation) -> list[MemberForm]:
    """The members of a modality: a ridge on each of its blocks and on several together, trees on
    columns and on words.
    """
    dense, terms = list(preparation.dense), list(preparation.terms_of)
    found = [MemberForm(RIDGE, (name,)) for name in dense]
    if len(dense) > 1:
        found.append(MemberForm(RIDGE, tuple(dense)))
    if terms:
        found += [MemberForm(RIDGE, ("words",)), MemberForm(RIDGE, ("words", "characters"))]
        found.append(MemberForm(TREE, ("words",)))
    if COLUMNS in dense:
        found.append(MemberForm(TREE, (COLUMNS,)))
    return found


class RidgeMember(nn.Module):
    """A linear map of blocks to the scores of a task.

    Args:
        sizes: Block -> its features, or its buckets.
    """

    def __init__(self, sizes: Mapping[str, int], answers: int) -> None:
        super().__init__()
        self.blocks = tuple(sizes)
        self.intercept: Tensor
        self.register_buffer("intercept", torch.zeros(answers))
        for name, size in sizes.items():
            self.register_buffer(f"of_{name}", torch.zeros(size, answers))

    def forward(self, arrays: Mapping[str, Tensor]) -> Float[Tensor, "case answer"]:
        """The scores of some cases."""
        total = self.intercept
        for name in self.blocks:
            coefficients: Tensor = getattr(self, f"of_{name}")
            if name in BUCKETS:
                found = coefficients[arrays[name][..., 0].long()] * arrays[name][..., 1:2]
                total = total + found.sum(dim=1)  # padding has weight 0
            else:
                total = total + arrays[name] @ coefficients
        return total


class TreeMember(nn.Module):
    """Gradient-boosted trees on the columns of a table, or on counts of words.

    Args:
        columns: Number of columns; of words the buckets are chosen by how many notes have them.
        words: Whether they are words.
    """

    ARRAYS = ("column", "threshold", "left", "right", "value")
    start: Tensor
    column: Tensor
    buckets: Tensor

    def __init__(self, answers: int, *, words: bool) -> None:
        super().__init__()
        empty = Trees.constant(np.zeros(answers))
        for name in (*self.ARRAYS, "start"):
            self.register_buffer(name, torch.from_numpy(getattr(empty, name)))
        self.words = words
        if words:
            self.register_buffer("buckets", torch.full((MOST_WORDS,), -1, dtype=torch.int32))

    def set(self, trees: Trees) -> None:
        """Take what was grown."""
        for name in (*self.ARRAYS, "start"):
            getattr(self, name).copy_(torch.from_numpy(getattr(trees, name)))

    @torch.no_grad()
    def forward(self, arrays: Mapping[str, Tensor]) -> Float[Tensor, "case answer"]:
        """The scores of some cases."""
        rows = self.rows(arrays)
        return torch.from_numpy(self.trees()(rows.cpu().numpy())).to(self.start)

    def trees(self) -> Trees:
        """What was grown, as arrays."""
        arrays = {name: getattr(self, name).cpu().numpy() for name in (*self.ARRAYS, "start")}
        return Trees(**arrays)

    def rows(self, arrays: Mapping[str, Tensor]) -> Float[Tensor, "case column"]:
        """What trees look at: how often each chosen word is in a note; or standardised columns, and
        behind them which of them are missing.
        """
        if self.words:
            return self._counts(arrays["words"])
        return torch.cat([arrays[COLUMNS], arrays[MISSING]], dim=1).detach()

    def _counts(self, words: Float[Tensor, "case term 3"]) -> Float[Tensor, "case bucket"]:
        place = torch.full((BUCKETS["words"],), MOST_WORDS, dtype=torch.long)
        chosen = self.buckets[self.buckets >= 0].long()
        place[chosen] = torch.arange(len(chosen))
        counts = torch.zeros(len(words), MOST_WORDS + 1)
        counts.scatter_add_(1, place[words[..., 0].long()], words[..., 2])
        return counts[:, :MOST_WORDS]


def common_words(notes: Sequence[np.ndarray]) -> np.ndarray:
    """The buckets that trees on words are offered: those of at least 3 notes, the commonest first.

    Args:
        notes: Bucket, weight and count of each term of a note.
    """
    seen = np.zeros(BUCKETS["words"], int)
    for terms in notes:
        seen[terms[:, 0].astype(int)] += 1
    order = np.argsort(-seen, kind="stable")[:MOST_WORDS]
    found: np.ndarray = np.sort(order[seen[order] >= 3])
    return found
