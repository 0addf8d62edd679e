"""Fusions and the tokens that they are given."""

import itertools

import torch

WIDTH = 16
LENGTHS = (5, 9, 4, 1, 3, 2, 6, 1)  # tokens of each modality
NAMES = tuple(f"m{k}" for k in range(8))


def make_fusion(family: str, count: int = 3):
    from mmdiag.fusion import FusionConfig, chain

    torch.manual_seed(0)
    fusion = chain(*family.split("+"))(NAMES[:count], FusionConfig(width=WIDTH)).eval()
    with torch.no_grad():  # parts that start at zero must not hide a mistake
        for parameter in fusion.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return fusion


def make_tokens(count: int = 3, batch: int | None = None, seed: int = 1):
    """Tokens of every pattern of presence in turn, with padding behind the mask; the last of the
    patterns has nothing at all.
    """
    from mmdiag.tokens import Tokens

    generator = torch.Generator().manual_seed(seed)
    patterns = list(itertools.product([True, False], repeat=count))
    patterns = (
        patterns if len(patterns) <= 16 else [*patterns[:: len(patterns) // 14], patterns[-1]]
    )
    batch = batch or len(patterns)
    tokens = {}
    for k, name in enumerate(NAMES[:count]):
        values = torch.randn(batch, LENGTHS[k], WIDTH, generator=generator)
        present = torch.tensor([patterns[row % len(patterns)][k] for row in range(batch)])
        mask = present[:, None] & (
            torch.arange(LENGTHS[k])
            < 1 + torch.randint(0, LENGTHS[k], (batch, 1), generator=generator)
        )
        tokens[name] = Tokens(values, mask)
    return tokens


def presence(tokens):
    return torch.stack([t.present() for t in tokens.values()], dim=1)
