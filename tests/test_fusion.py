"""One contract for every fusion: a new family passes it without a line being changed."""

import itertools

import pytest

torch = pytest.importorskip("torch")

WIDTH = 16
NAMES = ("flair", "report", "expression", "signal")
LENGTHS = {"flair": 5, "report": 9, "expression": 4, "signal": 1}


@pytest.fixture(params=sorted(["concat", "modality_attention", "cross_modal"]))
def family(request):
    return request.param


def make_fusion(family: str, count: int = 3):
    from mmdiag.fusion import FUSIONS

    torch.manual_seed(0)
    fusion = FUSIONS[family](NAMES[:count], WIDTH, heads=4, dropout=0.0).eval()
    with torch.no_grad():  # parts that start at zero must not hide a mistake
        for parameter in fusion.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return fusion


def make_tokens(count: int = 3, batch: int = 6, seed: int = 1):
    """Tokens of every pattern of presence in turn, with padding behind the mask."""
    from mmdiag.tokens import Tokens

    generator = torch.Generator().manual_seed(seed)
    patterns = list(itertools.product([True, False], repeat=count))
    tokens = {}
    for k, name in enumerate(NAMES[:count]):
        values = torch.randn(batch, LENGTHS[name], WIDTH, generator=generator)
        present = torch.tensor([patterns[row % len(patterns)][k] for row in range(batch)])
        mask = present[:, None] & (torch.arange(LENGTHS[name]) < 1 + torch.randint(0, LENGTHS[name], (batch, 1), generator=generator))
        tokens[name] = Tokens(values, mask)
    return tokens


def presence(tokens):
    return torch.stack([t.present() for t in tokens.values()], dim=1)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shapes_are_those_of_the_interface(family, count):
    tokens = make_tokens(count, batch=2**count)
    fused = make_fusion(family, count)(tokens)
    assert fused.values.shape == (2**count, WIDTH) and fused.weights.shape == (2**count, count)
    assert torch.isfinite(fused.values).all()
    assert fused.attention is None or fused.attention.shape == (2**count, count, count)


@pytest.mark.parametrize("poison", [1e6, float("inf"), float("nan")])
def test_what_lies_behind_a_mask_is_never_read(family, poison):
    from mmdiag.tokens import Tokens

    fusion, tokens = make_fusion(family), make_tokens(batch=8)
    poisoned = {name: Tokens(torch.where(t.mask[..., None], t.values, poison), t.mask) for name, t in tokens.items()}
    for one, other in zip(vars_of(fusion(tokens)), vars_of(fusion(poisoned)), strict=True):
        assert torch.equal(one, other)


def vars_of(fused):
    return [fused.values, fused.weights, *([fused.attention] if fused.attention is not None else [])]


def test_the_order_of_keys_does_not_matter(family):
    fusion, tokens = make_fusion(family), make_tokens()
    turned = dict(reversed(tokens.items()))
    assert torch.equal(fusion(tokens).values, fusion(turned).values)


def test_a_row_alone_equals_the_row_in_a_batch(family):
    from mmdiag.tokens import Tokens

    fusion, tokens = make_fusion(family), make_tokens(batch=8)
    whole = fusion(tokens)
    for row in range(8):
        longest = {name: max(int(t.mask[row].sum()), 1) for name, t in tokens.items()}
        alone = fusion(
            {name: Tokens(t.values[row : row + 1, : longest[name]], t.mask[row : row + 1, : longest[name]]) for name, t in tokens.items()}
        )
        torch.testing.assert_close(alone.values[0], whole.values[row], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(alone.weights[0], whole.weights[row], atol=1e-6, rtol=1e-5)


def test_weights_are_a_distribution_over_what_is_present(family):
    tokens = make_tokens(batch=8)
    fused, present = make_fusion(family)(tokens), presence(tokens)
    assert (fused.weights >= 0).all() and (fused.weights[~present] == 0).all()
    torch.testing.assert_close(fused.weights.sum(1), present.any(1).float(), atol=1e-5, rtol=0)
    if fused.attention is not None:
        rows = fused.attention.sum(2)
        torch.testing.assert_close(rows, present.float(), atol=1e-5, rtol=0)
        assert (fused.attention.transpose(1, 2)[~present] == 0).all()


def test_gradients_reach_every_present_modality_and_no_absent_one(family):
    from mmdiag.tokens import Tokens

    fusion, tokens = make_fusion(family), make_tokens(batch=8)
    inputs = {name: t.values.clone().requires_grad_() for name, t in tokens.items()}
    fusion({name: Tokens(inputs[name], t.mask) for name, t in tokens.items()}).values.square().sum().backward()
    for name, t in tokens.items():
        reached = inputs[name].grad.abs().sum(dim=(1, 2)) > 0
        assert torch.equal(reached, t.present()), name


def test_an_absent_modality_changes_the_answer(family):
    from mmdiag.tokens import Tokens

    fusion, tokens = make_fusion(family), make_tokens(batch=1)
    without = {**tokens, "report": Tokens(tokens["report"].values, torch.zeros_like(tokens["report"].mask))}
    assert not torch.allclose(fusion(tokens).values, fusion(without).values)


def test_a_wrong_width_is_refused(family):
    from mmdiag.errors import UsageError
    from mmdiag.tokens import Tokens

    tokens = make_tokens()
    tokens["flair"] = Tokens(torch.zeros(6, 2, WIDTH + 1), torch.ones(6, 2, dtype=torch.bool))
    with pytest.raises(UsageError, match="width 16, flair gives 17"):
        make_fusion(family)(tokens)


def test_the_matrix_of_modality_attention_is_the_formula():
    fusion, tokens = make_fusion("modality_attention"), make_tokens(batch=1)
    z, _ = fusion.frame(tokens)
    v = [fusion.value[k](z[0, k]) for k in range(3)]
    q = [fusion.query[k](z[0, k]) for k in range(3)]
    expected = torch.stack([torch.stack([v[k] @ q[j] / WIDTH**0.5 + fusion.bias[j] for j in range(3)]).softmax(0) for k in range(3)])
    torch.testing.assert_close(fusion(tokens).attention[0], expected, atol=1e-6, rtol=1e-5)


def test_the_names_that_users_type_are_the_families():
    from mmdiag.config import FUSION_NAMES
    from mmdiag.fusion import FUSIONS

    assert set(FUSION_NAMES) == set(FUSIONS)
