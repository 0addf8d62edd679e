"""One contract for every fusion, and for chains of them: a new family passes it without a line being changed."""

import itertools

import pytest

torch = pytest.importorskip("torch")

WIDTH = 16
LENGTHS = (5, 9, 4, 1, 3, 2, 6, 1)  # tokens of each modality
NAMES = tuple(f"m{k}" for k in range(8))
CHAINS = ("deep+low_rank", "concat+late", "cross_modal+modality_attention+late", "deep+cross_modal+late")


def pytest_generate_tests(metafunc):
    """Every family that there is, and a few chains; asked for when tests are collected, so that nothing is imported before."""
    from mmdiag.config import FUSION_NAMES

    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [*FUSION_NAMES, *CHAINS])


def make_fusion(family: str, count: int = 3):
    from mmdiag.fusion import chain

    torch.manual_seed(0)
    fusion = chain(*family.split("+"))(NAMES[:count], WIDTH, heads=4, dropout=0.0).eval()
    with torch.no_grad():  # parts that start at zero must not hide a mistake
        for parameter in fusion.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return fusion


def make_tokens(count: int = 3, batch: int | None = None, seed: int = 1):
    """Tokens of every pattern of presence in turn, with padding behind the mask; the last of the patterns has nothing at all."""
    from mmdiag.tokens import Tokens

    generator = torch.Generator().manual_seed(seed)
    patterns = list(itertools.product([True, False], repeat=count))
    patterns = patterns if len(patterns) <= 16 else [*patterns[:: len(patterns) // 14], patterns[-1]]
    batch = batch or len(patterns)
    tokens = {}
    for k, name in enumerate(NAMES[:count]):
        values = torch.randn(batch, LENGTHS[k], WIDTH, generator=generator)
        present = torch.tensor([patterns[row % len(patterns)][k] for row in range(batch)])
        mask = present[:, None] & (torch.arange(LENGTHS[k]) < 1 + torch.randint(0, LENGTHS[k], (batch, 1), generator=generator))
        tokens[name] = Tokens(values, mask)
    return tokens


def presence(tokens):
    return torch.stack([t.present() for t in tokens.values()], dim=1)


def behind_the_mask(tokens, value):
    from mmdiag.tokens import Tokens

    return {name: Tokens(torch.where(t.mask[..., None], t.values, value), t.mask) for name, t in tokens.items()}


def rows_of(tokens, rows):
    from mmdiag.tokens import Tokens

    return {name: Tokens(t.values[rows], t.mask[rows]) for name, t in tokens.items()}


def tensors_of(fused):
    return [fused.values, fused.weights, *([fused.attention] if fused.attention is not None else [])]


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
        for one, other in zip(clean, tensors_of(fusion(behind_the_mask(tokens, poison))), strict=True):
            assert torch.equal(one, other), poison


@pytest.mark.parametrize("poison", POISONS)
def test_what_lies_behind_a_mask_moves_no_gradient(family, poison):
    def gradients(tokens):
        fusion = make_fusion(family)
        inputs = {name: t.values.clone().requires_grad_() for name, t in tokens.items()}
        fusion({name: type(t)(inputs[name], t.mask) for name, t in tokens.items()}).values.square().sum().backward()
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
    fusion({name: type(t)(inputs[name], t.mask) for name, t in tokens.items()}).values.square().sum().backward()
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
            {name: Tokens(t.values[row : row + 1, : longest[name]], t.mask[row : row + 1, : longest[name]]) for name, t in tokens.items()}
        )
        for one, other in zip(tensors_of(alone), tensors_of(whole), strict=True):
            torch.testing.assert_close(one[0], other[row], atol=1e-9, rtol=1e-7)


@COUNTS
def test_the_order_of_keys_does_not_matter(family, count):
    fusion, tokens = make_fusion(family, count), make_tokens(count)
    for one, other in zip(tensors_of(fusion(tokens)), tensors_of(fusion(dict(reversed(tokens.items())))), strict=True):
        assert torch.equal(one, other)


@COUNTS
def test_weights_are_a_distribution_over_what_is_present(family, count):
    tokens = make_tokens(count)
    fused, present = make_fusion(family, count)(tokens), presence(tokens)
    assert (fused.weights >= 0).all() and (fused.weights[~present] == 0).all()
    torch.testing.assert_close(fused.weights.sum(1), present.any(1).float(), atol=1e-5, rtol=0)
    if fused.attention is not None:
        torch.testing.assert_close(fused.attention.sum(2), present.float(), atol=1e-5, rtol=0)
        assert (fused.attention >= 0).all() and (fused.attention.transpose(1, 2)[~present] == 0).all()


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

    tokens = {name: Tokens(t.values, torch.zeros_like(t.mask)) for name, t in make_tokens(count, batch=4).items()}
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
        assert t.values.shape == tokens[name].values.shape and torch.equal(t.mask, tokens[name].mask)


def test_exchanged_tokens_know_nothing_of_what_lies_behind_a_mask(family):
    fusion, tokens = make_fusion(family), make_tokens()
    clean = fusion.exchange(tokens)
    for poison in POISONS:
        for name, t in fusion.exchange(behind_the_mask(tokens, poison)).items():
            assert torch.equal(t.values[t.mask], clean[name].values[t.mask]), (name, poison)


def test_the_names_that_users_type_are_the_families():
    from mmdiag.config import FUSION_NAMES
    from mmdiag.fusion import FUSIONS

    assert tuple(FUSIONS) == FUSION_NAMES


def test_only_the_families_that_a_chain_begins_with_exchange_tokens():
    from mmdiag.config import EXCHANGING
    from mmdiag.fusion import FUSIONS

    tokens = make_tokens()
    changed = {name for name in FUSIONS if make_fusion(name).exchange(tokens) is not tokens}
    assert changed == set(EXCHANGING)


def test_a_chain_of_one_is_the_family_and_builds_like_it():
    from mmdiag.fusion import FUSIONS, chain

    assert chain("gated") is FUSIONS["gated"]
    fusion = chain("cross_modal", "modality_attention", "late")(("a", "b"), 8, heads=2)
    assert fusion.modalities == ("a", "b") and fusion.width == 8


@pytest.mark.parametrize(
    "order", ["late+concat", "concat+cross_modal", "concat+gated", "late+late", "cross_modal+cross_modal", "late+deep"]
)
def test_a_chain_whose_order_makes_no_sense_is_refused(order):
    from mmdiag.errors import UsageError
    from mmdiag.fusion import chain
    from mmdiag.recipes import default

    with pytest.raises(UsageError, match=f"first any of cross_modal, deep.*found '{order}'".replace("+", r"\+")):
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


def test_the_matrix_of_modality_attention_is_the_formula():
    fusion, tokens = make_fusion("modality_attention"), make_tokens(batch=1)
    z, _ = fusion.frame(tokens)
    v = [fusion.value[k](z[0, k]) for k in range(3)]
    q = [fusion.query[k](z[0, k]) for k in range(3)]
    expected = torch.stack([torch.stack([v[k] @ q[j] / WIDTH**0.5 + fusion.bias[j] for j in range(3)]).softmax(0) for k in range(3)])
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
                product = product * (1 + fusion.factors[k](tokens[name].values[row, 0]).view(fusion.RANK, WIDTH))
        expected = (fusion.rank * product).sum(0) + fusion.mask(present[row].float())
        torch.testing.assert_close(fused[row], expected, atol=1e-5, rtol=1e-5)
    assert fusion.RANK <= 4


def test_gates_and_exchanges_start_as_nothing():
    from mmdiag.fusion import FUSIONS

    tokens = make_tokens(batch=4)
    gated = FUSIONS["gated"](NAMES[:3], WIDTH).eval()
    z, present = gated.frame(tokens)
    plain = torch.where(present[..., None], gated.branches(z), 0.0).sum(1) + gated.mask(present.float())
    torch.testing.assert_close(gated(tokens).values, plain)
    for name in ("deep", "cross_modal"):
        fusion = FUSIONS[name](NAMES[:3], WIDTH).eval()
        z, present = fusion.frame(tokens)
        for k, t in enumerate(fusion.exchange(tokens).values()):
            torch.testing.assert_close(t.values[present[:, k], 0], z[present[:, k], k])


@pytest.mark.parametrize("masking", ["modality_attention", "additive", "cross_modal", "deep", "late"])
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
        fusion, counted, attend = make_fusion("cross_modal"), [], torch.nn.MultiheadAttention.forward

        def count(module, query, key, value, **options):
            counted.append(query.shape[1] * key.shape[1])
            return attend(module, query, key, value, **options)

        with patch.object(torch.nn.MultiheadAttention, "forward", count):
            fusion({name: Tokens(torch.randn(1, length, WIDTH), torch.ones(1, length, dtype=torch.bool)) for name in NAMES[:3]})
        return sum(counted)

    assert weights(800) < 2.1 * weights(400)


def test_every_branch_of_late_fusion_sees_its_own_modality_alone():
    fusion, tokens = make_fusion("late"), make_tokens(batch=1)
    inputs = {name: t.values.clone().requires_grad_() for name, t in tokens.items()}
    branches = fusion({name: type(t)(inputs[name], t.mask) for name, t in tokens.items()}).branches
    for k, name in enumerate(tokens):
        gradients = torch.autograd.grad(branches[0, k].sum(), list(inputs.values()), retain_graph=True, allow_unused=True)
        assert [other for other, gradient in zip(tokens, gradients, strict=True) if gradient is not None and gradient.any()] == [name]


def make_settled(cases: int = 400, *, useful: float = 2.0, twice: bool = False, seed: int = 3):
    """Late fusion of two modalities whose log-odds are known: the first is twice too sure, the second a copy of it or noise."""
    fusion = make_fusion("late", 2)
    head = torch.nn.Linear(WIDTH, 1)
    generator = torch.Generator().manual_seed(seed)
    evidence = torch.randn(cases, generator=generator)
    label = (torch.rand(cases, generator=generator) < (evidence * useful + 0.5).sigmoid()).float()[:, None]
    other = evidence if twice else torch.randn(cases, generator=generator)
    direction = head.weight.detach()[0] / head.weight.detach().square().sum()
    branches = torch.stack([2 * useful * evidence, other * useful], dim=1)[..., None] * direction
    present = torch.ones(cases, 2, dtype=torch.bool)
    present[: cases // 4, 1] = False
    torch.nn.init.constant_(head.bias, 0.5)
    with torch.no_grad():
        fusion.settle(branches.float(), present, label, head, torch.nn.functional.binary_cross_entropy_with_logits)
    return fusion


def test_late_fusion_calibrates_what_is_too_sure_and_silences_what_is_noise():
    fusion = make_settled()
    known = fusion._row(torch.tensor([[True, True], [True, False], [False, True]]))
    assert sorted(known.tolist()) == [0, 1, 2], "the set that was never met takes the shared weights"
    both, first = fusion.scale[known[0]], fusion.scale[known[1]]
    assert 0.35 < both[0] < 0.65 and 0.35 < first[0] < 0.65
    assert both[1] < 0.3 * both[0]


def test_late_fusion_does_not_count_the_same_evidence_twice():
    fusion = make_settled(twice=True)
    row = fusion._row(torch.tensor([[True, True]]))[0]
    total = fusion.scale[row, 0] * 2 + fusion.scale[row, 1]
    assert 0.7 < total < 1.3
    alone = fusion._row(torch.tensor([[True, False]]))[0]
    assert fusion.scale[alone, 0] > 0.35, "where the copy is absent, the first speaks for itself"


def test_a_set_that_was_met_a_few_times_stays_near_the_shared_weights():
    from mmdiag.fusion.stacking import fit_stacking

    evidence = torch.randn(300, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = (torch.rand(300, 1, generator=torch.Generator().manual_seed(1)) < evidence[:, 0].sigmoid()).double()
    present = torch.ones(300, 2, dtype=torch.bool)
    present[:3, 1] = False
    target[:3] = (evidence[:3, 0] < 0).double()  # three cases that say the opposite
    found = fit_stacking(
        evidence, present[:, :1], present, target, torch.zeros(1, dtype=torch.float64),
        torch.nn.functional.binary_cross_entropy_with_logits, start=torch.ones(1, dtype=torch.float64), most=64,
    )  # fmt: skip
    few = next(row for row, members in enumerate(found.sets.tolist()) if not members[1]) + 1
    assert (found.scale[few] > 0.7 * found.scale[0]).all()


def test_a_chain_that_ends_in_late_begins_with_what_was_fused_before():
    from mmdiag.fusion import chain

    torch.manual_seed(0)
    fusion, tokens = chain("gated", "late")(NAMES[:3], WIDTH).eval(), make_tokens()
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
        parts = [fusion.scale[0, k] * (fused.branches[row, k] + fusion.shift[k]) for k in range(3) if there[row, k]]
        torch.testing.assert_close(fused.values[row], sum(parts, fusion.offset[0]))
