"""One contract for every fusion, and for chains of them: a new family passes it without a line
being changed.
"""

import pytest
import torch
from fusion_builders import WIDTH, make_fusion, make_tokens, presence

CHAINS = (
    "deep+low_rank",
    "concat+late",
    "cross_modal+modality_attention+late",
    "deep+cross_modal+late",
)


def pytest_generate_tests(metafunc):
    """Every family that there is, and a few chains; asked for when tests are collected, so that
    nothing is imported before.
    """
    from mmdiag.config import FUSION_FAMILIES

    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [*FUSION_FAMILIES, *CHAINS])


def behind_the_mask(tokens, value):
    from mmdiag.tokens import Tokens

    return {
        name: Tokens(torch.where(t.mask[..., None], t.values, value), t.mask)
        for name, t in tokens.items()
    }


def rows_of(tokens, rows):
    from mmdiag.tokens import Tokens

    return {name: Tokens(t.values[rows], t.mask[rows]) for name, t in tokens.items()}


def tensors_of(fused):
    return [
        fused.values,
        fused.weights,
        *([fused.attention] if fused.attention is not None else []),
    ]


COUNTS = pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
POISONS = (1e6, float("inf"), float("nan"))


@COUNTS
def test_shapes_are_those_of_the_interface(family, count):
    tokens = make_tokens(count)
    fused, batch = make_fusion(family, count)(tokens), len(presence(tokens))
    assert fused.values.shape == (batch, WIDTH) and fused.weights.shape == (batch, count)
    assert torch.isfinite(fused.values).all()
    assert fused.attention is None or fused.attention.shape == (batch, count, count)


@COUNTS
def test_what_lies_behind_a_mask_is_never_read(family, count):
    fusion, tokens = make_fusion(family, count), make_tokens(count)
    clean = tensors_of(fusion(tokens))
    for poison in POISONS:
        for one, other in zip(
            clean, tensors_of(fusion(behind_the_mask(tokens, poison))), strict=True
        ):
            assert torch.equal(one, other), poison


@pytest.mark.parametrize("poison", POISONS)
def test_what_lies_behind_a_mask_moves_no_gradient(family, poison):
    def gradients(tokens):
        fusion = make_fusion(family)
        inputs = {name: t.values.clone().requires_grad_() for name, t in tokens.items()}
        fusion(
            {name: type(t)(inputs[name], t.mask) for name, t in tokens.items()}
        ).values.square().sum().backward()
        return {**inputs, **dict(fusion.named_parameters())}

    tokens = make_tokens()
    clean, poisoned = gradients(tokens), gradients(behind_the_mask(tokens, poison))
    for name, value in clean.items():
        one, other = value.grad, poisoned[name].grad
        assert (one is None) == (other is None), name
        assert one is None or (torch.isfinite(other).all() and torch.equal(one, other)), name
    for name, t in tokens.items():
        assert (poisoned[name].grad[~t.mask] == 0).all(), name


@COUNTS
def test_gradients_reach_every_present_modality_and_no_absent_one(family, count):
    fusion, tokens = make_fusion(family, count), make_tokens(count)
    inputs = {name: t.values.clone().requires_grad_() for name, t in tokens.items()}
    fusion(
        {name: type(t)(inputs[name], t.mask) for name, t in tokens.items()}
    ).values.square().sum().backward()
    for name, t in tokens.items():
        reached = inputs[name].grad.abs().sum(dim=(1, 2)) > 0
        assert torch.equal(reached, t.present()), name


@COUNTS
def test_a_row_alone_equals_the_row_in_a_batch(family, count):
    from mmdiag.tokens import Tokens

    fusion = make_fusion(family, count).double()  # what differs is a mistake then, and no rounding
    tokens = {name: Tokens(t.values.double(), t.mask) for name, t in make_tokens(count).items()}
    whole = fusion(tokens)
    for row in range(len(whole.values)):
        longest = {name: max(int(t.mask[row].sum()), 1) for name, t in tokens.items()}
        alone = fusion(
            {
                name: Tokens(
                    t.values[row : row + 1, : longest[name]], t.mask[row : row + 1, : longest[name]]
                )
                for name, t in tokens.items()
            }
        )
        for one, other in zip(tensors_of(alone), tensors_of(whole), strict=True):
            torch.testing.assert_close(one[0], other[row], atol=1e-9, rtol=1e-7)


@COUNTS
def test_the_order_of_keys_does_not_matter(family, count):
    fusion, tokens = make_fusion(family, count), make_tokens(count)
    for one, other in zip(
        tensors_of(fusion(tokens)), tensors_of(fusion(dict(reversed(tokens.items())))), strict=True
    ):
        assert torch.equal(one, other)


@COUNTS
def test_weights_are_a_distribution_over_what_is_present(family, count):
    tokens = make_tokens(count)
    fused, present = make_fusion(family, count)(tokens), presence(tokens)
    assert (fused.weights >= 0).all() and (fused.weights[~present] == 0).all()
    torch.testing.assert_close(fused.weights.sum(1), present.any(1).float(), atol=1e-5, rtol=0)
    if fused.attention is not None:
        torch.testing.assert_close(fused.attention.sum(2), present.float(), atol=1e-5, rtol=0)
        assert (fused.attention >= 0).all() and (
            fused.attention.transpose(1, 2)[~present] == 0
        ).all()


@COUNTS
def test_every_modality_that_is_absent_changes_the_answer(family, count):
    from mmdiag.tokens import Tokens

    fusion, tokens = make_fusion(family, count), rows_of(make_tokens(count), slice(0, 1))
    for name, t in tokens.items():
        without = {**tokens, name: Tokens(t.values, torch.zeros_like(t.mask))}
        assert not torch.allclose(fusion(tokens).values, fusion(without).values), name


@COUNTS
def test_cases_without_any_modality_all_get_the_same_finite_answer(family, count):
    from mmdiag.tokens import Tokens

    tokens = {
        name: Tokens(t.values, torch.zeros_like(t.mask))
        for name, t in make_tokens(count, batch=4).items()
    }
    fused = make_fusion(family, count)(behind_the_mask(tokens, float("nan")))
    assert torch.isfinite(fused.values).all() and (fused.weights == 0).all()
    torch.testing.assert_close(fused.values, fused.values[:1].expand(4, -1))


def test_a_wrong_width_is_refused(family):
    from mmdiag.errors import UsageError
    from mmdiag.tokens import Tokens

    tokens = make_tokens(batch=6)
    tokens["m1"] = Tokens(torch.zeros(6, 2, WIDTH + 1), torch.ones(6, 2, dtype=torch.bool))
    with pytest.raises(UsageError, match="width 16, m1 gives 17"):
        make_fusion(family)(tokens)


def test_a_modality_that_was_not_encoded_is_an_error_and_no_absence(family):
    tokens = make_tokens()
    del tokens["m2"]
    with pytest.raises(KeyError, match="m2"):
        make_fusion(family)(tokens)


def test_a_damaged_value_that_is_present_is_not_swallowed(family):
    tokens = make_tokens()
    tokens["m0"].values[0, 0] = float("nan")
    assert torch.isnan(make_fusion(family)(tokens).values[0]).any()


def test_the_same_seed_gives_the_same_answer(family):
    tokens = make_tokens()
    assert torch.equal(make_fusion(family)(tokens).values, make_fusion(family)(tokens).values)


def test_exchanged_tokens_have_the_shapes_and_masks_that_came_in(family):
    fusion, tokens = make_fusion(family), make_tokens()
    for name, t in fusion.exchange(tokens).items():
        assert t.values.shape == tokens[name].values.shape and torch.equal(
            t.mask, tokens[name].mask
        )


def test_exchanged_tokens_know_nothing_of_what_lies_behind_a_mask(family):
    fusion, tokens = make_fusion(family), make_tokens()
    clean = fusion.exchange(tokens)
    for poison in POISONS:
        for name, t in fusion.exchange(behind_the_mask(tokens, poison)).items():
            assert torch.equal(t.values[t.mask], clean[name].values[t.mask]), (name, poison)


def test_only_the_families_that_a_chain_begins_with_exchange_tokens():
    from mmdiag.config import FusionRole, fusions_that
    from mmdiag.fusion import FUSIONS

    tokens = make_tokens()
    changed = {name for name in FUSIONS if make_fusion(name).exchange(tokens) is not tokens}
    assert changed == set(fusions_that(FusionRole.EXCHANGES))


def test_a_class_whose_methods_are_not_those_of_its_role_is_refused():
    from mmdiag.config import FusionRole
    from mmdiag.fusion.families import family_of

    with pytest.raises(
        TypeError, match="no other, has `exchange`; 'concat' exchanges and has none"
    ):
        family_of("concat", FusionRole.EXCHANGES)
    with pytest.raises(TypeError, match="no other, has `fit_stacking`; 'late' pools and has one"):
        family_of("late", FusionRole.POOLS)
    with pytest.raises(TypeError, match="subclass of Fusion by the name Stacking"):
        family_of("stacking", FusionRole.POOLS)


def test_a_chain_of_one_is_the_family_and_builds_like_it():
    from mmdiag.fusion import FUSIONS, FusionConfig, chain

    assert chain("gated") is FUSIONS["gated"]
    fusion = chain("cross_modal", "modality_attention", "late")(
        ("a", "b"), FusionConfig(width=8, heads=2)
    )
    assert fusion.modalities == ("a", "b") and fusion.width == 8


@pytest.mark.parametrize(
    "order",
    [
        "late+concat",
        "concat+cross_modal",
        "concat+gated",
        "late+late",
        "cross_modal+cross_modal",
        "late+deep",
    ],
)
def test_a_chain_whose_order_makes_no_sense_is_refused(order):
    from mmdiag.errors import UsageError
    from mmdiag.fusion import chain
    from mmdiag.recipes import default

    with pytest.raises(
        UsageError, match=f"first any of cross_modal, deep.*found '{order}'".replace("+", r"\+")
    ):
        chain(*order.split("+"))
    with pytest.raises(UsageError, match="then late, each once"):
        default(fusion=order)


@pytest.mark.parametrize("name", ["magic", "cross_modal+magic", "concat+", ""])
def test_an_unknown_family_is_refused_with_all_known_ones(name):
    from mmdiag.config import FUSION_NAMES
    from mmdiag.errors import UnknownNameError
    from mmdiag.recipes import default

    with pytest.raises(UnknownNameError, match=", ".join(sorted(FUSION_NAMES))):
        default(fusion=name)
