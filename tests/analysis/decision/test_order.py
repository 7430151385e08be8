"""The tests' order from a proposal: one level for the whole by simulation, known answers, and the
samples that were missing.
"""

import numpy as np
import pytest
from scipy import stats
from support.cuts import draws, smallest_shown

from spikeport.analysis.common.paired import loss_p_value
from spikeport.analysis.decision.order import UP
from spikeport.analysis.decision.samples_needed import samples_needed
from spikeport.analysis.decision.timestep_cut import truncate
from spikeport.export.common.errors import InputError


@pytest.mark.parametrize("proposal", [1, 2, 3])
@pytest.mark.parametrize("flips", [0.0, 0.05])
@pytest.mark.parametrize(
    ("accuracies", "floating", "right"),
    [
        ([0.945, 0.945, 0.945, 0.955], 0.955, {4}),  # all candidates at the limit at once: both chains can go wrong
        ([0.945, 0.955, 0.945, 0.955], 0.95, {2, 4}),  # a dip
        ([0.945, 0.945, 0.945, 0.945], 0.955, set()),  # the float network rules all out
        ([0.93, 0.945, 0.956, 0.955], 0.95, {3, 4}),
    ],
)
def test_whatever_the_proposal_the_level_holds(accuracies, floating, right, flips, proposal):
    """A claim is wrong where the true loss of the chosen T' is a point or more against either
    reference.
    """
    runs, rng = 300, np.random.default_rng(7)
    claimed = [smallest_shown(draws(rng, 600, [*accuracies, floating], flips), proposal) for _ in range(runs)]
    broken = sum(c not in right | {5} for c in claimed)
    assert stats.binomtest(broken, runs, 0.05, "greater").pvalue > 0.01


def test_without_sharing_the_level_it_would_not_hold():
    """Both chains at the full level: the same draws break the claim more often than said."""
    runs, rng = 600, np.random.default_rng(7)
    broken = 0
    for _ in range(runs):
        drawn = draws(rng, 600, [0.945, 0.945, 0.945, 0.955, 0.955], 0.05)
        lost = [(int((drawn[:, 3] & ~drawn[:, t]).sum()), int((drawn[:, t] & ~drawn[:, 3]).sum())) for t in (1, 2)]
        broken += any(loss_p_value(b, c, 600, 0.01) <= 0.05 for b, c in lost)
    assert stats.binomtest(broken, runs, 0.05, "greater").pvalue < 0.05


def with_losses(*lost, samples=10_000):
    """A record in which T' = 1, 2 .. lose so many samples of the right ones at T, the last of
    `lost` belonging to T - 1.
    """
    correct = np.ones((samples, len(lost) + 1), bool)
    for t, count in enumerate(lost):
        correct[:count, t] = False
    return correct


def verdicts(result):
    return [(s.verdict, round(s.level, 4)) for s in result.steps]


def test_a_good_proposal_is_reached_over_a_dip_that_stops_the_plain_sequence():
    correct = with_losses(900, 10, 60, 0)
    full = correct[:, -1]
    assert truncate(correct, full, 0.5).chosen == 4
    result = truncate(correct, full, 0.5, begin=2)
    assert (result.chosen, result.began, result.shown) == (2, 2, True)
    low, high = round(0.05 * (1 - UP), 4), round(0.05 * UP, 4)
    assert verdicts(result) == [("not shown", low), ("shown", low), ("not shown", high), ("shown", high), ("shown", high)]


def test_it_goes_down_from_the_proposal_while_it_is_shown():
    correct = with_losses(900, 10, 10, 0, 0)
    result = truncate(correct, correct[:, -1], 0.5, begin=4)
    assert result.chosen == 2
    assert verdicts(result)[:4] == [("not shown", 0.05), ("shown", 0.05), ("shown", 0.05), ("shown", 0.05)]  # freed by the chain above


def test_it_goes_up_where_the_proposal_is_not_shown():
    correct = with_losses(900, 60, 10, 0)
    result = truncate(correct, correct[:, -1], 0.5, begin=1)
    assert result.chosen == 3 and [s.verdict for s in result.steps] == ["not shown", "not shown", "shown", "shown", "shown"]


def test_a_proposal_of_all_timesteps_is_the_plain_sequence():
    correct = with_losses(900, 10, 0)
    assert truncate(correct, correct[:, -1], 0.5, begin=4).steps == truncate(correct, correct[:, -1], 0.5).steps
    for wrong in (0, 5):
        with pytest.raises(InputError, match=r"it lies in 1\.\.4"):
            truncate(correct, correct[:, -1], 0.5, begin=wrong)


def test_not_shown_says_how_many_samples_would_have_shown_it():
    correct = with_losses(900, 12, 0, samples=3_000)
    first, second, *_ = truncate(correct, correct[:, -1], 0.5).steps
    assert first.samples_needed is None and (first.verdict, second.verdict) == ("not tested", "not shown")
    many = second.samples_needed
    assert loss_p_value(round(12 * many / 3000), 0, many, 0.005) <= 0.05
    fewer = int(0.9 * many)
    assert loss_p_value(round(12 * fewer / 3000), 0, fewer, 0.005) > 0.05
    assert correct[:, -1].all() and many > 3_000


def test_samples_needed_at_the_ends():
    """Nothing changed: the rule of three, 1 - 0.05^(1/n) = 0.005; at a loss of the margin no number
    will do.
    """
    exact = np.log(0.05) / np.log(1 - 0.005)
    assert samples_needed(0, 0, 100, 0.005, 0.05) == pytest.approx(exact, rel=0.03)
    assert samples_needed(30, 20, 1000, 0.01, 0.05) is None
    assert samples_needed(30, 21, 1000, 0.0091, 0.05) is None  # millions
