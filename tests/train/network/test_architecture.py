"""Architecture strings and the stages they become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import ARCHITECTURES, Architecture, AveragePool, ConvLayer, DenseLayer, MaxPool, parse
from spikeport.train.network.build import build
from spikeport.train.network.topology import chain
from spikeport.train.settings.config import TrainConfig

MNIST = Task("mnist", (1, 28, 28), 10, 255)
small = st.integers(1, 9)
layers = st.one_of(
    st.builds(ConvLayer, st.integers(1, 999), small, st.integers(1, 3), st.integers(0, 4)),
    st.builds(DenseLayer, st.integers(1, 9999)),
    st.builds(AveragePool, small),
    st.builds(MaxPool, small),
)


@given(st.lists(layers, min_size=1, max_size=6))
def test_notation_round_trip(chosen):
    architecture = Architecture(tuple(chosen))
    assert parse(str(architecture)) == architecture


def test_papers_notation():
    assert parse("15C5-P2-300") == Architecture((ConvLayer(15, 5, 1, 0), AveragePool(2), DenseLayer(300)))
    assert parse("64C3-AP2-MP3-512FC") == Architecture((ConvLayer(64, 3, 1, 1), AveragePool(2), MaxPool(3), DenseLayer(512)))
    assert parse("8C5s2p2").layers == (ConvLayer(8, 5, 2, 2),)
    assert str(parse("8C5s2p2-AP2-10FC")) == "8C5s2p2-P2-10"


def test_names_stand_for_strings():
    for name, notation in ARCHITECTURES.items():
        assert parse(name) == parse(notation)
        assert chain(parse(name), Task("cifar-like", (3, 32, 32), 10, 255))[-1].shape == (10,)


def test_published_parameter_count():
    """210,375 trainable parameters, no biases: TSSL-BP reproduction, section 4.1."""
    config = TrainConfig(data="mnist", arch="15C5-P2-40C5-P2-300", batch_norm=False, bias=False)
    assert sum(p.numel() for p in build(config, MNIST).parameters()) == 210_375


def test_stages_of_a_chain():
    stages = chain(parse("4C5-MP2-P2-6C3-P3-P2-20"), MNIST)
    assert [(s.name, s.kind, s.shape) for s in stages] == [
        ("conv1", "neuron", (4, 24, 24)),
        ("pool1", "max_pool", (4, 12, 12)),
        ("conv2", "neuron", (6, 6, 6)),
        ("dense1", "neuron", (20,)),
        ("readout", "readout", (10,)),
    ]
    assert [s.incoming[0].source for s in stages] == ["input", "conv1", "pool1", "conv2", "dense1"]
    assert [s.incoming[0].pool for s in stages] == [1, 1, 2, 6, 1]


def test_a_last_layer_of_as_many_neurons_as_classes_is_the_readout():
    assert [s.name for s in chain(parse("8C3-P2-512FC-10FC"), MNIST)] == ["conv1", "dense1", "readout"]


@pytest.mark.parametrize("text", ["", "C5", "15C", "15C5-", "0C3", "P0", "300-X", "15c5", "15C5p", "-3"])
def test_misspelt_architectures_are_refused(text):
    with pytest.raises(InputError, match=r"neither like 15C5.*one of digits"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("15C5-P30-10", "pooling by 30 does not fit"),
        ("15C29", "kernel of 15C29 is larger"),
        ("300-15C5", "cannot follow a dense layer"),
        ("300-P2-10", "pooling by 2 does not fit"),
        ("MP2-15C5", "must follow spikes"),
        ("15C5-P2-MP2-300", "must follow spikes"),
    ],
)
def test_layers_that_do_not_fit_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        chain(parse(text), MNIST)
