"""Firing rules and resets that act late, against snnTorch's own neurons and against values worked
out by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks.float_networks import neuron

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, Population
from spikeport.export.model.neuron import late_reset_value
from spikeport.export.model.synapse import Connection, Dense, Elementwise
from spikeport.export.quantization.quantize import quantize

UNITS, SAMPLES, STEPS = 7, 5, 80


def layer(made: FloatNeuron, recurrent: np.ndarray | None = None) -> FloatNetwork:
    """Input -> one to one -> neurons, with weights back to themselves one step later."""
    connections = [Connection("w", "in", "a", Elementwise(np.ones(())))]
    if recurrent is not None:
        connections.append(Connection("back", "a", "a", Dense(recurrent), delay=1))
    return FloatNetwork(
        Input("in", (UNITS,)),
        (Population("a", (UNITS,), made),),
        tuple(connections),
        "a",
        "spike_count",
        STEPS,
        dt=1e-3,
        integrator="per timestep",
    )


def spikes_of(made: FloatNeuron, x: np.ndarray, recurrent: np.ndarray | None = None) -> np.ndarray:
    return simulate_float(layer(made, recurrent), x, STEPS, dtype=torch.float64)["output"]


def by_snntorch(kind: str, x: np.ndarray, recurrent: np.ndarray | None, **options) -> np.ndarray:
    """Spikes `(samples, timesteps, units)` of one of snnTorch's neurons, in float64."""
    snntorch = pytest.importorskip("snntorch")
    if recurrent is not None:
        options |= {"linear_features": UNITS}
    module = getattr(snntorch, kind)(init_hidden=True, **options).double()
    if recurrent is not None:
        module.recurrent.weight.data, module.recurrent.bias.data = torch.tensor(recurrent), torch.zeros(UNITS).double()
        module.recurrent.register_forward_pre_hook(lambda _, spikes: (spikes[0].double(),))  # its surrogate returns float32
    with torch.no_grad():
        return np.stack([module(torch.tensor(x[:, t])).numpy() for t in range(STEPS)], axis=1).astype(int)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
def test_every_reset_of_snntorch_is_one_of_ours(kind, mechanism, late, seed):
    if kind == "RSynaptic" and not late:
        pytest.skip("snnTorch 1.0.0's RSynaptic itself fails with reset_delay=False")
    rng = np.random.default_rng(seed)
    alpha, beta, threshold = (rng.uniform(low, high, UNITS) for low, high in ((0.1, 0.9), (0.3, 0.99), (0.4, 1.5)))
    x = rng.normal(0.4, 0.8, (SAMPLES, STEPS, UNITS))
    recurrent = rng.normal(0, 0.4, (UNITS, UNITS)) if kind.startswith("R") else None
    parameters = {"beta": torch.tensor(beta), "threshold": torch.tensor(threshold)}
    if kind.endswith("Synaptic"):
        parameters["alpha"] = torch.tensor(alpha)
    expected = by_snntorch(kind, x, recurrent, **parameters, reset_mechanism=mechanism, reset_delay=late)

    if mechanism == "subtract":
        value = late_reset_value(threshold, beta) if late else threshold
        rule = {"reset": "subtract", "reset_value": value, "firing": "single" if late else "deferred"}
    else:
        rule = {"reset": "zero", "firing": "refractory" if late and kind != "Leaky" else "single"}
    made = neuron(alpha=alpha if "alpha" in parameters else 0.0, beta=beta, threshold=threshold, **rule)
    found = spikes_of(made, x, recurrent)
    assert 0.02 < expected.mean() < 0.9, "the case shows nothing"
    np.testing.assert_array_equal(found, expected)
    plain = {"reset": mechanism, "reset_value": threshold if mechanism == "subtract" else 0.0}
    if rule["firing"] != "single" or (mechanism == "subtract" and late):
        bare = neuron(alpha=made.alpha, beta=beta, threshold=threshold, **plain)
        assert (spikes_of(bare, x, recurrent) != expected).any(), "the plain reset would have done"


def one_neuron(x: list[float], **changes) -> list[int]:
    made = neuron(**changes)
    network = FloatNetwork(
        Input("in", (1,)),
        (Population("a", (1,), made),),
        (Connection("w", "in", "a", Elementwise(np.ones(()))),),
        "a",
        "spike_count",
        len(x),
        dt=1e-3,
        integrator="per timestep",
    )
    return simulate_float(network, np.array(x)[None, :, None], len(x), dtype=torch.float64)["output"].ravel().tolist()


def test_several_spikes_in_one_step_each_take_their_reset():
    rule = {"beta": 1.0, "reset": "subtract", "reset_value": 1.0, "firing": "multiple"}
    # v: 3.5 -> 3 spikes, 0.5; 4.0 -> 4, 0; 0.5; 1.0 -> 1 (at the threshold), 0; -2.5 -> none
    assert one_neuron([3.5, 3.5, 0.5, 0.5, -2.5], **rule) == [3, 4, 0, 1, 0]
    # reset to zero forgets the rest, however many spikes
    assert one_neuron([3.5, 0.75, 0.25], **{**rule, "reset": "zero"}) == [3, 0, 1]


def test_a_refractory_step_ignores_what_arrives():
    # fires, is held at 0 through 5.0, then starts from 0
    assert one_neuron([2.0, 5.0, 0.75, 0.75], beta=1.0, firing="refractory") == [1, 0, 0, 1]


def test_a_second_spike_is_deferred_while_the_potential_stays_above():
    # v: 2.75 fires -> 1.75, still above: 2 needed, 1.75 is not -> kept; above again -> 2.25 fires
    # -> 1.25; 1.25 < 2
    rule = {"beta": 1.0, "reset": "subtract", "reset_value": 1.0, "firing": "deferred"}
    assert one_neuron([2.75, 0.0, 0.5, 0.0], **rule) == [1, 0, 1, 0]


@pytest.mark.parametrize("firing", ["multiple", "refractory", "deferred"])
def test_integers_have_none_of_these_rules_and_say_so(firing):
    network = layer(neuron(firing=firing))
    with pytest.raises(InputError, match=r"population a .*(one spike per step|train it with)"):
        quantize(network, np.ones((2, STEPS, UNITS)))


def test_what_has_no_meaning_is_refused():
    with pytest.raises(InputError, match="beta > 0"):
        late_reset_value(np.ones(2), np.array([0.5, 0.0]))
    with pytest.raises(InputError, match="threshold above 0"):
        neuron(threshold=0.0, firing="multiple")
    with pytest.raises(InputError, match="firing 'twice' is unknown"):
        neuron(firing="twice")
