"""Stream samples through a network in chunks, on every core, and collect the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

import torch

from spikeport.export.model.network import Connection, Conv, QuantizedNetwork
from spikeport.hw.engine.collect import Collector
from spikeport.hw.engine.compiled.messages import input_messages
from spikeport.hw.engine.delivery import Delivery
from spikeport.hw.engine.dense import plain_sums
from spikeport.hw.engine.neurons import Trace
from spikeport.hw.engine.plan import Group, Plan, plan_for
from spikeport.hw.engine.profile import Profile, timed
from spikeport.hw.records.record import RecordLevel, SpikeRecord, check_fits
from spikeport.hw.records.stimulus import Stimulus

CHUNK_BYTES = 32 << 20
"""Working memory of one chunk: small enough to stay in a shared cache, large enough to drown the
cost of a call.
"""


def run(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    record: RecordLevel = "counts",
    *,
    progress: Callable[[int], None] | None = None,
    device: str | torch.device | None = None,
    profile: Profile | None = None,
) -> SpikeRecord:
    """Run all samples from rest, bit for bit as `spikeport.hw.semantics.reference.run`.

    Args:
        progress: called with the number of samples finished since the last call.
        device: None for compiled kernels on the CPU; otherwise everything runs in PyTorch on that
            device, e.g. "cuda".
        profile: is told where the time went.

    Source: Lava 0.10's fixed-point process models, by way of the reference.
    """
    check_fits(network, stimulus, record)
    plan = plan_for(network, stimulus.timesteps, device)
    collector = Collector(network, stimulus, record, plan.notes)
    with plain_sums(), _workers(plan) as (executor, count):
        size = _chunk_size(plan.bytes_per_sample(stimulus.held), len(stimulus), count)
        parts = [slice(i, min(i + size, len(stimulus))) for i in range(0, len(stimulus), size)]
        futures = {executor.submit(_run_chunk, plan, stimulus[part], part, collector, profile): part for part in parts}
        for future in as_completed(futures):
            future.result()
            if progress:
                progress(futures[future].stop - futures[future].start)
    return collector.record()


@contextmanager
def _workers(plan: Plan) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """One thread per core, each with its own samples and no threads of its own; a device gets one
    thread.
    """
    before = torch.get_num_threads()
    count = before if plan.device.type == "cpu" else 1
    executor = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield executor, count
    finally:
        executor.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _chunk_size(bytes_per_sample: int, samples: int, workers: int) -> int:
    fits = max(1, CHUNK_BYTES // bytes_per_sample)
    return min(fits, -(-samples // workers))


def _run_chunk(plan: Plan, stimulus: Stimulus, part: slice, collector: Collector, profile: Profile | None) -> None:
    """Run a few samples through all populations, layer by layer where nothing loops."""
    source = plan.network.input
    with timed(profile, source.name, "order"):
        messages = {source.name: input_messages(source, stimulus, plan.device)}
    with timed(profile, source.name, "count"):
        collector.add_input(part, messages[source.name], plan.input_reach)
    traces: dict[str, Trace] = {}
    for group in plan.groups:
        for name in group.populations:
            traces[name] = plan.neurons[name].trace(stimulus.samples, plan.timesteps, collector.needs_potentials(name))
            messages[name] = traces[name].spikes
        _advance(plan, group, messages, traces, profile)
    for name, trace in traces.items():
        with timed(profile, name, "record"):
            collector.add(part, name, trace)


def _advance(plan: Plan, group: Group, messages: dict[str, torch.Tensor], traces: dict[str, Trace], profile: Profile | None) -> None:
    """All timesteps of a group."""
    steps = plan.timesteps
    incoming = {name: plan.network.incoming(name) for name in group.populations}
    outside = {
        name: [_over_time(plan, c, messages, profile) for c in cs if c.source not in group.populations and c.delay < steps]
        for name, cs in incoming.items()
    }
    if not group.looped:
        (name,) = group.populations
        with timed(profile, name, "neurons", plan.neurons[name].kind):
            plan.neurons[name].advance(traces[name], outside[name], 0, steps)
        return
    for t in range(steps):
        for name in group.populations:
            inside = [_at_step(plan, c, messages, t, profile) for c in incoming[name] if c.source in group.populations and c.delay <= t]
            with timed(profile, name, "neurons", plan.neurons[name].kind):
                plan.neurons[name].advance(traces[name], [*outside[name], *inside], t, t + 1)


def _over_time(plan: Plan, connection: Connection, messages: dict[str, torch.Tensor], profile: Profile | None) -> Delivery:
    """What a connection delivers at every timestep, from a source whose messages are all known."""
    x = messages[connection.source][:, : plan.timesteps - connection.delay]
    return _delivery(plan, connection, x, connection.delay, profile)


def _at_step(plan: Plan, connection: Connection, messages: dict[str, torch.Tensor], t: int, profile: Profile | None) -> Delivery:
    """What a connection delivers at timestep t alone."""
    sent = t - connection.delay
    return _delivery(plan, connection, messages[connection.source][:, sent : sent + 1], t, profile)


def _delivery(plan: Plan, connection: Connection, x: torch.Tensor, start: int, profile: Profile | None) -> Delivery:
    total = plan.synapses[connection.name](x.contiguous(), profile)
    return Delivery(total, connection.exponent, start, bits=24 if isinstance(connection.op, Conv) else 32)
