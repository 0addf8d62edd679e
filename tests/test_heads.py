"""Heads: known losses, known probabilities."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")


def test_binary_log_odds_are_the_logit():
    from mmdiag.heads import BinaryHead

    head = BinaryHead(4)
    logits = torch.tensor([[-2.0], [0.0], [3.0]])
    assert torch.equal(head.log_odds(logits, torch.zeros(3, dtype=torch.long)), logits[:, 0])
    assert head.probability(logits)[1, 0] == 0.5


def test_multiclass_probabilities_add_up_and_log_odds_follow_them():
    from mmdiag.heads import MulticlassHead

    head = MulticlassHead(4, 3)
    logits = torch.tensor([[1.0, 0.0, -1.0]])
    p = head.probability(logits)
    torch.testing.assert_close(p.sum(1), torch.ones(1))
    torch.testing.assert_close(head.log_odds(logits, torch.tensor([0])), torch.log(p[:, 0] / (1 - p[:, 0])))


def test_the_survival_loss_is_the_likelihood_by_hand():
    from mmdiag.heads import SurvivalHead

    head = SurvivalHead(4, 3)
    logits = torch.tensor([[0.3, -0.2, 0.5], [0.3, -0.2, 0.5]])
    hazard = logits[0].sigmoid()
    event_in_second = -(torch.log(1 - hazard[0]) + torch.log(hazard[1]))
    censored_in_third = -(torch.log(1 - hazard)).sum()
    loss = head.loss(logits, torch.tensor([[1.0, 1.0], [2.0, 0.0]]))
    torch.testing.assert_close(loss, (event_in_second + censored_in_third) / 2)


def test_a_higher_hazard_is_a_higher_risk_within_0_and_1():
    from mmdiag.heads import SurvivalHead

    risk = SurvivalHead(4, 3).probability(torch.tensor([[-9.0] * 3, [0.0] * 3, [9.0] * 3]))[:, 0]
    assert 0 <= risk[0] < risk[1] < risk[2] <= 1


def test_survival_targets_are_interval_and_event():
    from mmdiag.heads import survival_cuts, targets

    time, event = np.arange(1.0, 41.0), np.ones(40)
    cuts = survival_cuts(time, event)
    found = targets({"kind": "survival", "cuts": cuts}, np.full(40, np.nan), time, event)
    assert len(cuts) == 7 and np.bincount(found[:, 0].astype(int)).tolist() == [5] * 8
