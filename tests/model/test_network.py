"""The whole network: every family with modalities missing, and what a case in training is shown."""

import dataclasses

import pytest
import torch
from network_builders import make_config, make_model


def present(batch):
    return torch.stack(list(batch.present.values()), dim=1)


def test_arrays_of_absent_modalities_are_never_read(fusion):
    model, batch = make_model(fusion)
    model.eval()
    poisoned = {
        name: {
            key: value
            if value.dtype == torch.bool
            else torch.where(
                batch.present[name].view(-1, *[1] * (value.ndim - 1)), value, torch.nan
            )
            for key, value in arrays.items()
        }
        for name, arrays in batch.values.items()
    }
    assert torch.equal(
        model(batch).logits, model(dataclasses.replace(batch, values=poisoned)).logits
    )


def test_what_an_encoder_leaves_behind_a_mask_reaches_neither_the_loss_nor_a_gradient(fusion):
    from mmdiag.model.network import loss_of
    from mmdiag.tokens import Tokens

    model, batch = make_model(fusion)
    model.eval()
    tokens = model.encode(batch, batch.present)
    spoiled = {
        name: Tokens(t.values.masked_fill(~t.mask[..., None], torch.nan), t.mask)
        for name, t in tokens.items()
    }
    found = []
    for given in (tokens, spoiled):
        model.zero_grad()
        loss = loss_of(model.head, model.diagnose(given), batch.target, 0.3)
        loss.backward(retain_graph=True)
        found.append(
            [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]
        )
    for calm, other in zip(*found, strict=True):
        torch.testing.assert_close(other, calm)


def test_every_weight_of_a_fusion_learns(fusion):
    from mmdiag.model.network import loss_of

    model, batch = make_model(fusion, modality_dropout=0.0)
    with torch.no_grad():  # what starts at zero holds back the gradient of what lies behind it
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    loss_of(model.head, model(batch), batch.target, 0.3).backward()
    still = [
        name
        for name, parameter in model.fusion.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # a null vector is not read where absence only masks
    assert not [name for name in still if not name.endswith("frame.null")], still


def test_a_branch_of_late_fusion_learns_from_its_own_answer_alone():
    from mmdiag.model.network import loss_of

    model, batch = make_model("late", modality_dropout=0.0, missing=0.0)
    model.eval()

    def gradient(noise):
        report = {
            key: value if value.dtype == torch.bool else value + noise
            for key, value in batch.values["report"].items()
        }
        values = {**batch.values, "report": report}
        model.zero_grad()
        loss_of(
            model.head, model(dataclasses.replace(batch, values=values)), batch.target, 0.3
        ).backward()
        return model.encoders["flair_"].summary.weight.grad.clone()

    assert torch.equal(gradient(0.0), gradient(1.0))


def test_the_branches_of_deep_fusion_answer_for_themselves_after_the_exchange():
    model, batch = make_model("deep", missing=0.0)
    model.eval()
    tokens = model.encode(batch, batch.present)
    output = model.diagnose(tokens)
    for k, name in enumerate(model.modalities):
        assert torch.equal(
            output.own[name][0], model.own_heads[f"{name}_"](output.fused.branches[:, k])
        )


@pytest.mark.parametrize("rate", [0.5, 0.9, "observed"])
def test_a_case_in_training_keeps_at_least_one_of_its_modalities(rate):
    model, batch = make_model(cases=200, modality_dropout=rate)
    before = present(batch)
    for _ in range(20):
        after = torch.stack(list(model._hide(batch.present).values()), dim=1)
        assert (after <= before).all() and torch.equal(after.any(1), before.any(1))


def test_a_rate_hides_that_share():
    model, batch = make_model(cases=200, missing=0.0, modality_dropout=0.25)
    shown = torch.stack(
        [torch.stack(list(model._hide(batch.present).values()), dim=1) for _ in range(50)]
    ).float()
    assert abs(shown.mean() - 0.75) < 0.02


def test_observed_patterns_are_shown_as_often_as_they_are_met():
    """Of 100 cases that have all, with 60 that lack the report and 40 that have the report alone,
    patterns come back in these shares.
    """
    model, _ = make_model(cases=200, missing=0.0, modality_dropout="observed")
    there = torch.ones(200, 3, dtype=torch.bool)
    there[100:160, 1] = False
    there[160:, [0, 2]] = False
    shown = torch.cat(
        [
            torch.stack(
                list(model._hide(dict(zip(model.modalities, there.T, strict=True))).values()), dim=1
            )[:100]
            for _ in range(100)
        ]
    )
    whole, without, alone = (
        (shown == torch.tensor(pattern)).all(1).float().mean()
        for pattern in ([1, 1, 1], [1, 0, 1], [0, 1, 0])
    )
    assert abs(whole - 0.5) < 0.03 and abs(without - 0.3) < 0.03 and abs(alone - 0.2) < 0.03


def test_a_complete_cohort_hides_nothing_where_observed_patterns_are_asked_for():
    model, batch = make_model(missing=0.0, modality_dropout="observed")
    assert all(there.all() for there in model._hide(batch.present).values())


@pytest.mark.parametrize("rate", [1.0, -0.1, "sometimes"])
def test_a_modality_dropout_that_is_no_rate_is_refused(rate):
    from mmdiag.errors import UsageError

    with pytest.raises(UsageError, match=r"a rate from 0 to below 1 or 'observed'"):
        make_config(modality_dropout=rate)
