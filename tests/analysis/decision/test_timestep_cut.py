"""Choosing the number of timesteps: the exact test's level, the guarantee by simulation, and known
answers.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.cuts import draws, smallest_shown

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.common.paired import largest_loss, loss_p_value
from spikeport.analysis.decision.timestep_cut import Truncation, confirmed, truncate, with_proposal
from spikeport.export.common.errors import InputError
from spikeport.hw.records.record import accuracy_over_time, correct_over_time


@pytest.mark.parametrize(("lost", "samples"), [(0, 360), (3, 360), (0, 1000), (2, 10_000)])
def test_without_gains_the_limit_is_clopper_and_pearsons(lost, samples):
    exact = stats.beta.ppf(0.95, lost + 1, samples - lost)
    assert largest_loss(lost, 0, samples) == pytest.approx(exact, rel=0.01)


def test_with_many_changes_the_limit_is_the_normal_approximation():
    lost, gained, samples = 400, 350, 10_000
    spread = np.sqrt(lost + gained - (lost - gained) ** 2 / samples) / samples
    assert largest_loss(lost, gained, samples) == pytest.approx((lost - gained) / samples + 1.645 * spread, rel=0.01)


def test_limits_and_p_values_tell_the_same_story():
    for lost, gained in [(0, 0), (1, 0), (2, 5), (7, 3), (50, 0)]:
        limit = largest_loss(lost, gained, 50)
        assert loss_p_value(lost, gained, 50, limit - 0.003) > 0.05 if limit < 1 else lost == 50
        assert limit == 1 or loss_p_value(lost, gained, 50, limit + 0.003) <= 0.05


def test_the_test_keeps_its_level_whatever_the_changes():
    """Rejection probability summed over all outcomes, at true losses of exactly the margin: the
    definition of the level.
    """
    samples, margin, most = 40, 0.06, 14
    outcomes = [(b, c) for b in range(most) for c in range(most)]
    rejected = np.array([loss_p_value(b, c, samples, margin) <= 0.05 for b, c in outcomes])
    assert rejected.any() and not rejected.all()
    for gain in [0, 0.003, 0.01, 0.03, 0.06, 0.1]:
        chances = [gain + margin, gain, 1 - 2 * gain - margin]
        mass = stats.multinomial.pmf([(b, c, samples - b - c) for b, c in outcomes], samples, chances)
        assert mass[rejected].sum() <= 0.05


@pytest.mark.parametrize("flips", [0.0, 0.05])
@pytest.mark.parametrize(
    ("accuracies", "floating", "wrong"),
    [([0.93, 0.945, 0.953, 0.955], 0.95, 2), ([0.93, 0.94, 0.947, 0.955], 0.957, 3), ([0.93, 0.94, 0.948, 0.955], 0.965, 4)],
    ids=["T is the harder reference", "the float network rules T' = 3 out", "it rules all out"],
)
def test_the_stated_loss_is_exceeded_in_at_most_five_percent_of_draws(flips, accuracies, floating, wrong):
    """Up to T' = `wrong`, the true loss is a point or more against one of the references; claiming
    one of them breaks the statement.
    """
    runs, rng, claimed = 300, np.random.default_rng(5), []
    for _ in range(runs):
        drawn = draws(rng, 600, [*accuracies, floating], flips)
        claimed.append(smallest_shown(drawn, None))
    broken, right = sum(c <= wrong for c in claimed), sum(c == wrong + 1 for c in claimed)
    assert stats.binomtest(broken, runs, 0.05, "greater").pvalue > 0.01
    assert right > 0.2 * runs


def test_a_network_that_uses_its_first_steps_only_is_cut_there():
    correct = np.ones((1000, 8), bool)
    correct[:, :3] = np.random.default_rng(0).random((1000, 3)) < [0.3, 0.6, 0.8]
    result = truncate(correct, correct[:, -1], 0.5)
    assert result.chosen == 4 and result.shown
    assert [s.verdict for s in result.steps] == ["not tested"] * 2 + ["not shown"] + ["shown"] * 5
    full = result.steps[3].losses.full
    assert full.value == 0 and full.high == pytest.approx(100 * (1 - 0.05 ** (1 / 1000)), rel=0.01)
    assert result.warning is None


def test_the_float_network_is_a_reference_too():
    """T' = 1 equals T in fixed point, but the float network is right on 2 % more."""
    correct, floating = np.ones((1000, 3), bool), np.ones(1000, bool)
    correct[:20] = False
    result = truncate(correct, floating, 1.0)
    assert not result.shown and result.chosen == 3
    assert result.steps[2].losses.full.high == 0 and result.steps[2].losses.floating.value == pytest.approx(2)
    assert "not shown to lose less than 1 point against the float network (2.00" in result.warning
    assert truncate(correct, floating, 4.0).chosen == 1


def test_t_itself_loses_nothing_against_itself():
    """Five samples better than float on 60: shown, although 60 unchanged samples could not show a
    loss below 2 points.
    """
    correct, floating = np.ones((60, 2), bool), np.ones(60, bool)
    floating[:5] = False
    result = truncate(correct, floating, 2.0)
    assert result.provable > 2 and [s.verdict for s in result.steps] == ["not shown", "shown"]


def test_too_few_samples_cut_nothing_and_say_so():
    result = truncate(np.ones((100, 4), bool), np.ones(100, bool), 1.0)
    assert result.chosen == 4
    assert "cannot show a loss below 2.95 points" in result.warning


def test_a_dip_in_accuracy_ends_the_search():
    correct = np.ones((1000, 4), bool)
    correct[:100, 2] = False
    assert truncate(correct, correct[:, -1], 1.0).chosen == 4


def test_confirmation_is_on_the_data_given():
    result = truncate(np.ones((1000, 4), bool), np.ones(1000, bool), 1.0)
    test, floating = np.ones((50, 4), bool), np.ones(50, bool)
    test[:6, 0] = False
    test[0, 3] = False
    seen = confirmed(result, test, floating).test
    assert (result.chosen, seen.samples, seen.accuracy_full, seen.accuracy_chosen, seen.accuracy_floating) == (1, 50, 0.98, 0.88, 1)
    full, against_float = seen.losses.full, seen.losses.floating
    assert full.value == pytest.approx(10) and full.low < 10 < full.high
    assert against_float.value == pytest.approx(12) and seen.losses.highest == against_float.high > full.high
    assert [seen.verdict(tolerance) for tolerance in (99, 11, 1)] == [
        "shows it too",
        "agrees, without showing it alone",
        "contradicts it",
    ]


def test_proposal_stands_beside_the_choice():
    class Fisher:
        @staticmethod
        def proposal(share):
            return 2 if share == 0.1 else 3

    result = with_proposal(truncate(np.ones((1000, 4), bool), np.ones(1000, bool), 1.0), Fisher, 0.1)
    assert (result.proposal, result.proposal_share) == (2, 0.1)
    assert from_json(Truncation, to_json(result)) == result


def test_refuses_nonsense():
    for shape, tolerance, confidence in [((0, 3), 1, 0.95), ((5, 3), 0, 0.95), ((5, 3), 100, 0.95), ((5, 3), 1, 1.0)]:
        with pytest.raises(InputError):
            truncate(np.ones(shape, bool), np.ones(shape[0], bool), tolerance, confidence=confidence)


def test_correctness_over_time_comes_from_one_record():
    output = np.array([[[1, 0], [0, 2]], [[0, 1], [0, 1]]])
    np.testing.assert_array_equal(correct_over_time(output, [0, 1], "accumulated_current"), [[True, False], [True, True]])
    np.testing.assert_array_equal(accuracy_over_time(output, [0, 1], "accumulated_current"), [1.0, 0.5])
