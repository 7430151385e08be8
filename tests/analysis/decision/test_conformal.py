"""Conformal early exit: sets and steps by hand, ranks against p-values, and coverage by simulation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from spikeport.analysis.decision.conformal import CORRECTIONS, calibrated, checkpoints, conformal_exits, prediction_sets


def population(rng: np.random.Generator, size: int, timesteps: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Evidence for four classes that adds up over time: scores `(size, T, 4)` and classes."""
    labels = rng.integers(0, 4, size)
    strength = rng.gamma(2.0, 0.35, (size, 1, 1)) * (np.arange(4) == labels[:, None])[:, None]
    return np.rint(100 * (strength + rng.standard_normal((size, timesteps, 4))).cumsum(axis=1)).astype(np.int64), labels


def behind(scores: np.ndarray) -> np.ndarray:
    return scores.max(axis=2, keepdims=True) - scores


def p_values(calibration: np.ndarray, known: np.ndarray, unfit: np.ndarray) -> np.ndarray:
    """Their definition, class by class: (1 + calibration samples that fit no better) / (n + 1)."""
    own = calibration[np.arange(len(known)), :, known]
    return (1 + (own[:, None, :, None] >= unfit[None]).sum(axis=0)) / (len(known) + 1)


def test_checkpoints_are_even_and_end_with_the_last_timestep():
    assert checkpoints(5) == (1, 2, 3, 4, 5)
    assert checkpoints(16) == (2, 4, 6, 8, 10, 12, 14, 16)
    assert checkpoints(10) == (2, 3, 4, 5, 7, 8, 9, 10)


def test_steps_and_sets_by_hand():
    """19 calibration samples, two checkpoints, target 0.9: a = 0.05, so the rank is 20 - 1 = 19,
    the largest of all.
    """
    calibration = np.zeros((19, 2, 2), np.int64)
    calibration[:, :, 1] = -50
    calibration[:3, 0, 0] = [-70, -60, -90]  # class 0 lies 20, 10 and 40 behind class 1 there
    known = np.zeros(19, int)
    test = np.array([[[100, 0], [0, 0]], [[30, 0], [30, 0]], [[39, 0], [0, 100]], [[0, 0], [0, 0]]])
    found = conformal_exits(calibration, known, test, np.array([0, 0, 0, 1]))
    bonferroni = next(e for e in found if (e.target, e.correction) == (0.9, "Bonferroni"))
    assert bonferroni.thresholds == ((40,), (0,)) and bonferroni.samples == 19
    np.testing.assert_array_equal(bonferroni.steps(test), [1, 2, 2, 2])
    assert bonferroni.exits == (0.25, 0.75) and bonferroni.mean_steps == 1.75
    assert bonferroni.coverage == 0.75 and bonferroni.set_size == 1.25 and bonferroni.accuracy == 0.5
    strict = next(e for e in found if (e.target, e.correction) == (0.99, "Bonferroni"))
    assert strict.thresholds == ((None,), (None,)) and strict.coverage == 1 and strict.set_size == 2


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_sets_are_those_of_the_p_values(target):
    """Ranks against counting, and Simes against his rule on sorted p-values, over the checkpoints
    so far.
    """
    rng = np.random.default_rng(5)
    (calibration, known), (scores, _) = population(rng, 119), population(rng, 200)
    p, alpha = p_values(behind(calibration), known, behind(scores)), float(1 - Fraction(str(target)))
    for correction in CORRECTIONS:
        sets = prediction_sets(behind(scores), calibrated(behind(calibration), known, target, correction), correction)
        assert 0 < sets.mean() < 1
        for s in range(5):
            if correction == "Bonferroni":
                kept = p[:, s] > alpha / 5 + 1e-12
            else:
                kept = (np.sort(p[:, : s + 1], axis=1) > alpha * np.arange(1, s + 2)[:, None] / 5 + 1e-12).all(axis=1)
            np.testing.assert_array_equal(sets[:, s], kept)


def test_sets_hold_the_true_class_as_often_as_they_should_where_samples_stop():
    """Over draws of calibration and test samples. Without a correction stopping breaks it: the
    check can fail. Simes stops earlier than Bonferroni.
    """
    rng, runs, each, target = np.random.default_rng(1), 300, 40, 0.9
    covered, steps = dict.fromkeys((*CORRECTIONS, "none"), 0), dict.fromkeys(CORRECTIONS, 0.0)
    for _ in range(runs):
        (calibration, known), (scores, labels) = population(rng, 199), population(rng, each)
        for exits in conformal_exits(calibration, known, scores, labels)[:2]:
            assert exits.target == target
            covered[exits.correction] += round(exits.coverage * each)
            steps[exits.correction] += exits.mean_steps / runs
        none = calibrated(behind(calibration), known, 1 - 5 * (1 - target), "Bonferroni")  # 0.1 at each of the five
        sets = prediction_sets(behind(scores), none, "Bonferroni")
        small = sets.sum(axis=2) <= 1
        stop = np.where(small.any(axis=1), small.argmax(axis=1), 4)
        covered["none"] += sets[np.arange(each), stop, labels].sum()
    for correction in CORRECTIONS:
        assert stats.binomtest(covered[correction], runs * each, target, "less").pvalue > 0.01, correction
    assert stats.binomtest(int(covered["none"]), runs * each, target, "less").pvalue < 1e-6
    assert steps["Simes"] < steps["Bonferroni"] < 5
