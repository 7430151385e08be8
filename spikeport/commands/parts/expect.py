"""`spikeport verify --expect`: spikes recorded in the user's own framework against ours."""

from __future__ import annotations

import argparse

from spikeport.analysis.common.numbers import counted
from spikeport.commands.parts.options import emit, silent_notes
from spikeport.commands.parts.sources import load_foreign
from spikeport.export.common.digest import content_digest
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.file import is_quantized, read_nir
from spikeport.export.nir.graph import load_graph
from spikeport.hw.backends.expect import Expectation, NodeAgreement, expect_float, expect_integers, read_expected
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.folder.bound import KIND, MADE_OF
from spikeport.stages.folder.claims import check_output, json_origin


def execute_expect(arguments: argparse.Namespace) -> int:
    """Compare and report; exit status 1 if a float network's bins are not theirs."""
    if arguments.against or arguments.timesteps is not None:
        raise InputError("--expect compares one file with a record whose length is its own; leave --against and --timesteps out")
    expected, array = read_expected(arguments.expect), load_input(arguments.input)
    graph = load_graph(arguments.network)
    network = read_nir(graph) if is_quantized(graph) else load_foreign(arguments, graph)
    made_of = {"network": network_digest(network), "input": content_digest("input", array)}
    if arguments.out:
        check_output(arguments.out, json_origin(Expectation), made_of, force=arguments.force)
    if isinstance(network, QuantizedNetwork):
        result = expect_integers(network, array, expected)
    else:
        result = expect_float(network, array, expected)
    if arguments.out:
        write_json(arguments.out, {KIND: Expectation.__name__, MADE_OF: made_of, "expectation": result.to_json()})
    spikes = {node.node: node.ours for node in result.nodes}
    emit(arguments, result.to_json(), describe(result), silent_notes(spikes))
    return 1 if result.kind == "float" and not result.equal else 0


def describe(result: Expectation) -> str:
    """The comparison in words: output bins, then nodes, then classes."""
    run = f"{counted(result.samples, 'sample')} x {counted(result.timesteps, 'timestep')}, {result.kind}"
    lines = [f"against the recorded spikes, {run}:", _line("output", result.output), *(_line(n.node, n) for n in result.nodes)]
    lines.append(f"  classes: the same for {result.same_classes:,} of {result.samples:,} samples")
    return "\n".join([*lines, *([str(result.first)] if result.first else [])])


def _line(name: str, node: NodeAgreement) -> str:
    same = 1 - node.different / max(node.bins, 1)
    bins = (
        f"{counted(node.different, 'bin')} of {node.bins:,} differ ({same:.3%} agree)"
        if node.different
        else f"all {node.bins:,} bins equal"
    )
    return f"  {name}: {bins}; {node.theirs:,} spikes theirs, {node.ours:,} ours"
