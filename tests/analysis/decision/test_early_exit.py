"""Early exit: margins and steps by hand, a ladder that no data has a part in, and the guarantee by
simulation.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from spikeport.analysis.decision.early_exit import choose_threshold, exit_confirmed, exit_steps, judge, ladder, margins_over_time
from spikeport.analysis.decision.guarantee import References
from spikeport.export.common.errors import InputError
from spikeport.export.model.registers import STATE_LIMIT
from spikeport.hw.records.record import correct_over_time


def test_margins_and_steps_by_hand():
    output = np.array([[[5, 2, 0], [-4, 1, 9]], [[1, 1, 0], [0, 7, 0]]])  # added up: 5 2 0, 1 3 9; 1 1 0, 1 8 0
    margins = margins_over_time(output, "accumulated_current")
    np.testing.assert_array_equal(margins, [[3, 6], [0, 7]])
    np.testing.assert_array_equal(margins_over_time(output, "membrane_potential"), [[3, 8], [0, 7]])
    for threshold, steps in [(3, [1, 2]), (4, [2, 2]), (100, [2, 2]), (None, [2, 2]), (0, [1, 1])]:
        np.testing.assert_array_equal(exit_steps(margins, threshold), steps)


def test_the_ladder_starts_where_no_sample_can_stop_early_and_goes_down_evenly():
    rungs = ladder()
    assert rungs[0] > 2 * (STATE_LIMIT - 1) and rungs[-1] == 1
    assert all(1 < high / low <= 2 for high, low in pairwise(rungs))
    assert all(high / low < 1.1 for high, low in pairwise(rungs) if low > 500)


def test_the_margin_that_tells_right_from_wrong_is_found():
    """After step 1, samples with a margin of 1000 are right and those with 100 are wrong; after
    step 2 all are right.
    """
    margins = np.array([[1000, 9000]] * 700 + [[100, 9000]] * 300)
    correct = np.array([[True, True]] * 700 + [[False, True]] * 300)
    found = choose_threshold(correct, margins, correct[:, 1], 1.0)
    assert 100 < found.threshold <= 1000
    np.testing.assert_array_equal(exit_steps(margins, found.threshold), [1] * 700 + [2] * 300)
    assert [(p.mean_steps, p.accuracy, p.verdict) for p in found.points] == [(2, 1, "shown"), (1.3, 1, "shown"), (1, 0.7, "not shown")]
    assert found.losses.full.value == 0 and found.losses.highest < 1

    test = exit_confirmed(found, correct[600:], margins[600:], np.ones(400, bool))
    assert test.exits == (0.25, 0.75) and test.mean_steps == 1.75 and test.test.accuracy_chosen == 1


def test_nothing_is_claimed_where_nothing_is_shown():
    correct, margins = np.ones((500, 3), bool), np.full((500, 3), 7)
    correct[:50] = False
    found = choose_threshold(correct, margins, np.ones(500, bool), 1.0)
    assert found.threshold is None and found.losses is None
    assert exit_confirmed(found, correct, margins, np.ones(500, bool)).exits == (0, 0, 1)
    with pytest.raises(InputError):
        choose_threshold(correct[:0], margins[:0], np.ones(0, bool), 1.0)


def population(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence of two classes that adds up over 6 timesteps; the float network sees it with a
    little less noise.

    Returns correct and margins in fixed point, `(size, 6)`, and correct in float `(size,)`.
    """
    rng = np.random.default_rng(3)
    evidence = (0.6 + rng.standard_normal((size, 6))).cumsum(axis=1) + rng.standard_normal((size, 1)) * 0.2
    scores = np.rint(np.stack([100 * evidence, -100 * evidence], axis=2)).astype(np.int64)
    output = np.diff(scores, axis=1, prepend=0)
    correct = correct_over_time(output, np.zeros(size, int), "accumulated_current")
    floating = correct[:, -1] ^ (rng.random(size) < 0.01) & (rng.random(size) < np.where(correct[:, -1], 0.45, 1))
    return correct, margins_over_time(output, "accumulated_current"), floating


def test_the_stated_loss_is_exceeded_in_at_most_five_percent_of_draws():
    """True losses are those over a large population, validation sets are drawn from it.

    The same sets chosen by the mere estimate, without a test, break the statement far more often:
    the check can fail.
    """
    correct, margins, floating = population(40_000)
    tolerance, runs, rng = 1.5, 200, np.random.default_rng(8)
    best = max(correct[:, -1].mean(), floating.mean())

    def loss(threshold: int, part: np.ndarray | slice = slice(None)) -> float:
        now = correct[part][np.arange(len(correct[part])), exit_steps(margins[part], threshold) - 1]
        return 100 * max(correct[part][:, -1].mean() - now.mean(), floating[part].mean() - now.mean())

    truth = {threshold: loss(threshold) for threshold in ladder()}
    assert min(truth.values()) < tolerance < max(truth.values()) and best < 1
    broken = careless = early = 0
    for _ in range(runs):
        drawn = rng.integers(0, len(correct), 600)
        points = judge(correct[drawn], margins[drawn], References(correct[drawn, -1], floating[drawn]), tolerance, 0.05)
        claimed = [p for p in points if p.verdict == "shown"]
        broken += bool(claimed) and truth[claimed[-1].threshold] >= tolerance
        early += bool(claimed) and claimed[-1].mean_steps < 5.5
        careless += truth[min(p.threshold for p in points if loss(p.threshold, drawn) < tolerance)] >= tolerance
    assert stats.binomtest(broken, runs, 0.05, "greater").pvalue > 0.01
    assert early > 0.3 * runs
    assert stats.binomtest(careless, runs, 0.05, "greater").pvalue < 0.001
