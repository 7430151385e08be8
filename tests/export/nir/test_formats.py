"""Files of older formats mean what they meant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.networks.nir_files import change_metadata, conv_network, write_of_format_3
from support.networks.random_networks import random_network
from support.oracles.same import assert_equal

from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import read_nir


def of_format_2(plan, **provenance) -> None:
    """The plan as format 2 has it: no digests; integrator and weight bits, if told at all, in the
    provenance.
    """
    for name in ("integrator", "weight_bits", "digests", "digest"):
        plan.pop(name, None)
    plan.update(format=2, provenance={**plan["provenance"], "dt": 2e-3, **provenance})


OLD = {
    "trained": ({"integrator": "decay factors per timestep, trained as such; dt only names the step's length"}, "per timestep", 8),
    "imported": ({"integrator": "exponential"}, "exponential", 8),
    "quantized": ({"integrator": "euler", "quantization": {"weight_bits": 6}}, "euler", 6),
    "silent": ({}, "per timestep", 8),
}


@pytest.mark.parametrize("case", OLD)
def test_a_file_of_format_2_means_what_it_meant(tmp_path, case):
    provenance, integrator, bits = OLD[case]
    network = conv_network()
    small = tuple(replace(c, op=replace(c.op, weight=c.weight // (1 << (8 - bits)))) for c in network.connections)
    write_of_format_3(replace(network, connections=small), tmp_path / "net.nir")
    change_metadata(tmp_path / "net.nir", lambda plan: of_format_2(plan, **provenance))
    made = read_nir(tmp_path / "net.nir")
    assert (made.dt, made.integrator, made.weight_bits) == (2e-3, integrator, bits)
    assert not {"dt", "integrator"} & set(made.provenance) and made.provenance["data"]["name"] == "digits"
    assert all((a.weight == b.weight).all() for a, b in zip(made.connections, small))


def test_a_report_that_is_none_is_one_clear_error(tmp_path):
    write_of_format_3(conv_network(), tmp_path / "net.nir")
    change_metadata(tmp_path / "net.nir", lambda plan: of_format_2(plan, quantization=[4]))
    with pytest.raises(InputError, match="cannot be read as a quantized network"):
        read_nir(tmp_path / "net.nir")


@pytest.mark.parametrize("seed", range(12))
def test_files_of_format_3_come_back_exactly(tmp_path, seed):
    network = random_network(seed)
    write_of_format_3(network, tmp_path / "net.nir")
    assert_equal(read_nir(tmp_path / "net.nir"), network)
