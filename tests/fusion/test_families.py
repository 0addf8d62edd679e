"""What each fusion family is by its own formula, beside the contract that all of them keep."""

import numpy as np
import pytest
import torch
from fusion_builders import NAMES, WIDTH, make_fusion, make_tokens, presence


def test_the_matrix_of_modality_attention_is_the_formula():
    fusion, tokens = make_fusion("modality_attention"), make_tokens(batch=1)
    z, _ = fusion.frame(tokens)
    v = [fusion.value[k](z[0, k]) for k in range(3)]
    q = [fusion.query[k](z[0, k]) for k in range(3)]
    expected = torch.stack(
        [
            torch.stack([v[k] @ q[j] / WIDTH**0.5 + fusion.bias[j] for j in range(3)]).softmax(0)
            for k in range(3)
        ]
    )
    torch.testing.assert_close(fusion(tokens).attention[0], expected, atol=1e-6, rtol=1e-5)


def test_the_terms_of_additive_fusion_are_exactly_its_answer():
    fusion, tokens = make_fusion("additive"), make_tokens()
    head = torch.nn.Linear(WIDTH, 1)
    terms, _ = fusion.terms(tokens)
    shares = terms @ head.weight[0]
    expected = head(fusion(tokens).values)[:, 0] - head(fusion.nothing)
    torch.testing.assert_close(shares.sum(1), expected, atol=1e-5, rtol=1e-5)
    assert (shares[~presence(tokens)] == 0).all()


def test_low_rank_fusion_multiplies_factors_and_leaves_out_what_is_absent():
    fusion, tokens = make_fusion("low_rank"), make_tokens()
    present, fused = presence(tokens), fusion(tokens).values
    for row in range(len(present)):
        product = torch.ones(fusion.RANK, WIDTH)
        for k, name in enumerate(fusion.modalities):
            if present[row, k]:
                product = product * (
                    1 + fusion.factors[k](tokens[name].values[row, 0]).view(fusion.RANK, WIDTH)
                )
        expected = (fusion.rank * product).sum(0) + fusion.mask(present[row].float())
        torch.testing.assert_close(fused[row], expected, atol=1e-5, rtol=1e-5)
    assert fusion.RANK <= 4


def test_gates_and_exchanges_start_as_nothing():
    from mmdiag.fusion import FUSIONS, FusionConfig

    tokens = make_tokens(batch=4)
    gated = FUSIONS["gated"](NAMES[:3], FusionConfig(width=WIDTH)).eval()
    z, present = gated.frame(tokens)
    plain = torch.where(present[..., None], gated.branches(z), 0.0).sum(1) + gated.mask(
        present.float()
    )
    torch.testing.assert_close(gated(tokens).values, plain)
    for name in ("deep", "cross_modal"):
        fusion = FUSIONS[name](NAMES[:3], FusionConfig(width=WIDTH)).eval()
        z, present = fusion.frame(tokens)
        for k, t in enumerate(fusion.exchange(tokens).values()):
            torch.testing.assert_close(t.values[present[:, k], 0], z[present[:, k], k])


@pytest.mark.parametrize(
    "masking", ["modality_attention", "additive", "cross_modal", "deep", "late"]
)
def test_where_absence_only_masks_the_null_vector_says_nothing(masking):
    fusion, tokens = make_fusion(masking), make_tokens()
    before = fusion(tokens).values
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            if name.endswith("frame.null"):
                parameter.add_(3.0)
    there = presence(tokens).any(1)
    assert torch.equal(fusion(tokens).values[there], before[there])


def test_cross_attention_costs_no_more_than_in_proportion_to_the_tokens():
    """Counts the attention weights that are computed, not the time that they take."""
    from unittest.mock import patch

    from mmdiag.tokens import Tokens

    def weights(length):
        fusion, counted, attend = (
            make_fusion("cross_modal"),
            [],
            torch.nn.MultiheadAttention.forward,
        )

        def count(module, query, key, value, **options):
            counted.append(query.shape[1] * key.shape[1])
            return attend(module, query, key, value, **options)

        with patch.object(torch.nn.MultiheadAttention, "forward", count):
            fusion(
                {
                    name: Tokens(
                        torch.randn(1, length, WIDTH), torch.ones(1, length, dtype=torch.bool)
                    )
                    for name in NAMES[:3]
                }
            )
        return sum(counted)

    assert weights(800) < 2.1 * weights(400)


def test_every_branch_of_late_fusion_sees_its_own_modality_alone():
    fusion, tokens = make_fusion("late"), make_tokens(batch=1)
    inputs = {name: t.values.clone().requires_grad_() for name, t in tokens.items()}
    branches = fusion({name: type(t)(inputs[name], t.mask) for name, t in tokens.items()}).branches
    for k, name in enumerate(tokens):
        gradients = torch.autograd.grad(
            branches[0, k].sum(), list(inputs.values()), retain_graph=True, allow_unused=True
        )
        assert [
            other
            for other, gradient in zip(tokens, gradients, strict=True)
            if gradient is not None and gradient.any()
        ] == [name]


def make_stacked(cases: int = 400, *, useful: float = 2.0, twice: bool = False, seed: int = 3):
    """Late fusion of two modalities whose log-odds are known: the first is twice too sure, the
    second a copy of it or noise.
    """
    fusion = make_fusion("late", 2)
    head = torch.nn.Linear(WIDTH, 1)
    generator = torch.Generator().manual_seed(seed)
    evidence = torch.randn(cases, generator=generator)
    label = (torch.rand(cases, generator=generator) < (evidence * useful + 0.5).sigmoid()).float()[
        :, None
    ]
    other = evidence if twice else torch.randn(cases, generator=generator)
    direction = head.weight.detach()[0] / head.weight.detach().square().sum()
    branches = torch.stack([2 * useful * evidence, other * useful], dim=1)[..., None] * direction
    present = torch.ones(cases, 2, dtype=torch.bool)
    present[: cases // 4, 1] = False
    branches[: cases // 4, 1] = torch.nan  # what is absent is not read
    torch.nn.init.constant_(head.bias, 0.5)
    with torch.no_grad():
        fusion.fit_stacking(
            branches.float(),
            present,
            label,
            head,
            torch.nn.functional.binary_cross_entropy_with_logits,
        )
    return fusion


def test_late_fusion_calibrates_what_is_too_sure_and_silences_what_is_noise():
    fusion = make_stacked()
    known = fusion._row(torch.tensor([[True, True], [True, False], [False, True]]))
    assert sorted(known.tolist()) == [0, 1, 2], (
        "the set that was never met takes the shared weights"
    )
    both, first = fusion.scale[known[0]], fusion.scale[known[1]]
    assert 0.35 < both[0] < 0.65 and 0.35 < first[0] < 0.65
    assert both[1] < 0.3 * both[0]


def test_late_fusion_does_not_count_the_same_evidence_twice():
    fusion = make_stacked(twice=True)
    row = fusion._row(torch.tensor([[True, True]]))[0]
    total = fusion.scale[row, 0] * 2 + fusion.scale[row, 1]
    assert 0.7 < total < 1.3
    alone = fusion._row(torch.tensor([[True, False]]))[0]
    assert fusion.scale[alone, 0] > 0.35, "where the copy is absent, the first speaks for itself"


def stacked(evidence, there, present, target):
    """What is fitted on a binary task whose prior is even."""
    from mmdiag.fusion.stacking import fit_stacking

    loss, start = (
        torch.nn.functional.binary_cross_entropy_with_logits,
        torch.ones(evidence.shape[1], dtype=torch.float64),
    )
    return fit_stacking(
        evidence,
        there,
        present,
        target,
        torch.zeros(1, dtype=torch.float64),
        loss,
        start=start,
        most=64,
    )


def test_a_set_that_was_met_a_few_times_stays_near_the_shared_weights():
    evidence = torch.randn(
        300, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    target = (
        torch.rand(300, 1, generator=torch.Generator().manual_seed(1)) < evidence[:, 0].sigmoid()
    ).double()
    present = torch.ones(300, 2, dtype=torch.bool)
    present[:3, 1] = False
    target[:3] = (evidence[:3, 0] < 0).double()  # three cases that say the opposite
    found = stacked(evidence, present[:, :1], present, target)
    few = next(row for row, members in enumerate(found.sets.tolist()) if not members[1]) + 1
    assert (found.scale[few] > 0.7 * found.scale[0]).all()


def test_the_luck_of_a_few_validation_cases_is_not_taken_for_the_merit_of_a_branch():
    ratios = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        evidence = torch.randn(120, 2, 1, dtype=torch.float64, generator=generator)
        target = (torch.rand(120, 1, generator=generator) < evidence.sum(1).sigmoid()).double()
        present = torch.ones(120, 2, dtype=torch.bool)
        found = stacked(evidence, present, present, target)
        ratios.append(float((found.scale[1, 0] / found.scale[1, 1]).log().abs()))
    assert np.mean(ratios) < 0.1, "two branches that are worth the same weigh the same"


def test_a_chain_that_ends_in_late_begins_with_what_was_fused_before():
    from mmdiag.fusion import FusionConfig, chain

    torch.manual_seed(0)
    fusion, tokens = (
        chain("gated", "late")(NAMES[:3], FusionConfig(width=WIDTH)).eval(),
        make_tokens(),
    )
    inner = fusion.inner(tokens)
    there = presence(tokens).any(1)
    torch.testing.assert_close(fusion(tokens).values[there], inner.values[there])
    torch.testing.assert_close(fusion(tokens).weights, inner.weights, atol=1e-5, rtol=1e-5)


def test_late_fusion_adds_up_what_is_present_and_nothing_else():
    fusion, tokens = make_fusion("late"), make_tokens()
    with torch.no_grad():
        for table in (fusion.scale, fusion.shift, fusion.offset):
            table.add_(torch.rand(table.shape))
    fused, there = fusion(tokens), presence(tokens)
    for row in range(len(there)):
        parts = [
            fusion.scale[0, k] * (fused.branches[row, k] + fusion.shift[k])
            for k in range(3)
            if there[row, k]
        ]
        torch.testing.assert_close(fused.values[row], sum(parts, fusion.offset[0]))
