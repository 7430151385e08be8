"""Choosing the number of timesteps: the exact test's level, the guarantee by simulation, and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spikeport.analysis.jsonable import from_json, to_json
from spikeport.analysis.paired import largest_loss, loss_p_value
from spikeport.analysis.truncation import Truncation, chosen_of, confirmed, judge, truncate, with_proposal
from spikeport.export.errors import InputError
from spikeport.hw.record import accuracy_over_time, correct_over_time


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
    """Rejection probability summed over all outcomes, at true losses of exactly the margin: the definition of the level."""
    samples, margin, most = 40, 0.06, 14
    outcomes = [(b, c) for b in range(most) for c in range(most)]
    rejected = np.array([loss_p_value(b, c, samples, margin) <= 0.05 for b, c in outcomes])
    assert rejected.any() and not rejected.all()
    for gain in [0, 0.003, 0.01, 0.03, 0.06, 0.1]:
        chances = [gain + margin, gain, 1 - 2 * gain - margin]
        mass = stats.multinomial.pmf([(b, c, samples - b - c) for b, c in outcomes], samples, chances)
        assert mass[rejected].sum() <= 0.05


def draws(rng: np.random.Generator, runs: int, samples: int, accuracies: list[float], flips: float) -> np.ndarray:
    """Synthetic records `(runs, samples, T)`: correctness at T' has the given true accuracy and shares most errors with T."""
    base = rng.random((runs, samples, 1))
    correct = base < np.array(accuracies)
    flipped = rng.random(correct.shape) < flips
    return np.where(flipped, rng.random(correct.shape) < np.array(accuracies), correct)


@pytest.mark.parametrize("flips", [0.0, 0.05])
def test_the_stated_loss_is_exceeded_in_at_most_five_percent_of_draws(flips):
    """T' = 1 and 2 truly lose 2 and 1 points or more; choosing one of them breaks the statement."""
    tolerance, accuracies = 1.0, [0.93, 0.94, 0.949, 0.95]
    runs = 300
    found = [chosen_of(judge(run, tolerance, 0.05)) for run in draws(np.random.default_rng(5), runs, 600, accuracies, flips)]
    broken = sum(chosen <= 2 for chosen in found)
    assert stats.binomtest(broken, runs, 0.05, "greater").pvalue > 0.01
    assert sum(chosen == 3 for chosen in found) > 0.2 * runs


def test_a_network_that_uses_its_first_steps_only_is_cut_there():
    correct = np.ones((1000, 8), bool)
    correct[:, :3] = np.random.default_rng(0).random((1000, 3)) < [0.3, 0.6, 0.8]
    result = truncate(correct, 0.5)
    assert result.chosen == 4
    assert [s.verdict for s in result.steps] == ["not tested"] * 2 + ["not shown"] + ["shown"] * 4 + ["reference"]
    assert result.steps[3].loss == 0 and result.steps[3].high == pytest.approx(100 * (1 - 0.05 ** (1 / 1000)), rel=0.01)
    assert result.warning is None


def test_too_few_samples_cut_nothing_and_say_so():
    result = truncate(np.ones((100, 4), bool), 1.0)
    assert result.chosen == 4
    assert "cannot show a loss below 2.95 points" in result.warning


def test_a_dip_in_accuracy_ends_the_search():
    correct = np.ones((1000, 4), bool)
    correct[:100, 2] = False
    assert truncate(correct, 1.0).chosen == 4


def test_confirmation_is_on_the_data_given():
    result = truncate(np.ones((1000, 4), bool), 1.0)
    test = np.ones((50, 4), bool)
    test[:2, 0] = False
    test[0, 3] = False
    seen = confirmed(result, test).test
    assert (result.chosen, seen.samples, seen.accuracy_full, seen.accuracy_chosen) == (1, 50, 0.98, 0.96)
    assert seen.loss == pytest.approx(2) and seen.low < 2 < seen.high


def test_proposal_stands_beside_the_choice():
    class Fisher:
        @staticmethod
        def proposal(share):
            return 2 if share == 0.1 else 3

    result = with_proposal(truncate(np.ones((1000, 4), bool), 1.0), Fisher, 0.1)
    assert (result.proposal, result.proposal_share) == (2, 0.1)
    assert from_json(Truncation, to_json(result)) == result


def test_refuses_nonsense():
    for correct, tolerance, confidence in [((0, 3), 1, 0.95), ((5, 3), 0, 0.95), ((5, 3), 100, 0.95), ((5, 3), 1, 1.0)]:
        with pytest.raises(InputError):
            truncate(np.ones(correct, bool), tolerance, confidence=confidence)


def test_correctness_over_time_comes_from_one_record():
    output = np.array([[[1, 0], [0, 2]], [[0, 1], [0, 1]]])
    np.testing.assert_array_equal(correct_over_time(output, [0, 1], "accumulated_current"), [[True, False], [True, True]])
    np.testing.assert_array_equal(accuracy_over_time(output, [0, 1], "accumulated_current"), [1.0, 0.5])
