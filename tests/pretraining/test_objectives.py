"""What the objectives of pretraining say of known answers."""

import numpy as np
import pytest
import torch


def tokens(values, present=None):
    from mmdiag.tokens import Tokens

    values = torch.as_tensor(values, dtype=torch.float32)[:, None]
    mask = (
        torch.ones(len(values), 1, dtype=torch.bool)
        if present is None
        else torch.as_tensor(present)[:, None]
    )
    return Tokens(values, mask)


def loss_of(*modalities, subjects=None, scale=10.0):
    from mmdiag.pretraining.contrastive import contrast

    named = {str(number): tokens for number, tokens in enumerate(modalities)}
    cases = len(modalities[0].mask)
    return float(
        contrast(
            named,
            torch.arange(cases) if subjects is None else torch.tensor(subjects),
            torch.tensor(scale),
        )
    )


def test_the_contrast_of_aligned_cases_is_what_its_formula_says():
    cases = torch.eye(4)
    expected = np.log(1 + 3 * np.exp(-10.0))
    assert loss_of(tokens(cases), tokens(7 * cases)) == pytest.approx(expected, abs=1e-6), (
        "length does not count"
    )
    assert loss_of(tokens(cases), tokens(cases), tokens(cases)) == pytest.approx(
        expected, abs=1e-6
    ), "the mean over three pairs"
    assert loss_of(tokens(cases), tokens(cases.roll(1, 0))) == pytest.approx(
        10 + expected, abs=1e-5
    ), "every case looks like its neighbour"


def test_what_lies_behind_a_mask_and_cases_with_one_modality_change_nothing():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(6, 3, generator=generator), torch.randn(6, 3, generator=generator)
    there = [True, True, False, True, True, False]
    spoilt = torch.where(torch.tensor(there)[:, None], other, torch.nan)
    assert loss_of(tokens(one), tokens(spoilt, there)) == pytest.approx(
        loss_of(tokens(one[there]), tokens(other[there])), abs=1e-6
    )
    assert loss_of(tokens(one), tokens(spoilt, [True] + [False] * 5)) == 0, (
        "one case is no contrast"
    )


def test_another_case_of_the_same_subject_is_no_counter_example():
    cases = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    assert loss_of(tokens(cases[:2]), tokens(cases[:2]), subjects=[5, 5]) == pytest.approx(
        0, abs=1e-6
    )
    assert loss_of(tokens(cases), tokens(cases), subjects=[5, 5, 6]) < loss_of(
        tokens(cases), tokens(cases)
    )


def test_a_masked_slice_is_judged_by_its_hidden_patches_alone_and_in_their_own_units():
    from mmdiag.pretraining.masked_images import masked_error

    images = torch.rand(2, 1, 128, 128) * 2 - 1
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).reshape(2, 64, 256)
    drawn = (patches - patches.mean(-1, keepdim=True)) / (
        patches.var(-1, keepdim=True) + 1e-3
    ).sqrt()
    hidden = torch.zeros(2, 64, dtype=torch.int)
    hidden[:, ::3] = 1
    spoilt = torch.where(hidden[..., None].bool(), drawn, 99.0)
    assert float(masked_error(spoilt, images, hidden)) == pytest.approx(0, abs=1e-9)
    assert float(masked_error(drawn + 2, images, hidden)) == pytest.approx(4, abs=1e-4)


def test_the_encoder_of_a_masked_autoencoder_is_the_image_network_vit():
    from mmdiag.encoders.backbone import make_masked_autoencoder, make_network, vit_weights

    autoencoder, network = make_masked_autoencoder().eval(), make_network("vit").eval()
    network.load_state_dict(vit_weights(autoencoder))
    images = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        assert torch.equal(
            network(images)[0], autoencoder.blocks(autoencoder.patch_embedding(images))
        )
