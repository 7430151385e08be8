"""Networks of every framework that is installed, in and out, against the framework's own spikes:
the matrix of docs/interop.md.

    python benchmarks/interop/matrix.py --results benchmarks/results/interop.json --into docs/interop.md

Frameworks that are not installed keep the rows that were measured last, with their version and
date; no one Python takes all of them.
In: the network's spikes in float, then in 8 bits, against theirs, in bins of the output. Out: the
quantized network's `.nir`, read by the framework, against its own float meaning.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from spikeport.cli import main as command
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.backends.expect import expect_float, expect_integers

sys.path[:0] = [
    str(Path(__file__).resolve().parents[1]),
    str(Path(__file__).resolve().parents[2] / "tests"),
]  # after ours: tests/ has a folder `spikeport`

import norse_cases  # noqa: E402
import rockpool_cases  # noqa: E402
import sinabs_cases  # noqa: E402
import snntorch_cases  # noqa: E402
import spikingjelly_cases  # noqa: E402
from cases import SAMPLES, Case, T  # noqa: E402
from parts.marks import publish  # noqa: E402

FRAMEWORKS = {
    "snntorch": snntorch_cases,
    "spikingjelly": spikingjelly_cases,
    "norse": norse_cases,
    "sinabs": sinabs_cases,
    "rockpool": rockpool_cases,
}
"""By name on the index; each module has `cases()` and, where the framework reads NIR here,
`read_back(path, x)` and `DT`.
"""
SAID_MAX = 110


@dataclass(frozen=True)
class Row:
    """One network. way: "live" or ".nir". spikes: theirs. floats, back: bins that differ, or why
    there are none. bins: of the output.

    integers: share of the output's bins that agree in 8 bits, or why there is none.
    """

    framework: str
    version: str
    python: str
    date: str
    case: str
    way: str
    bins: int
    spikes: int
    floats: int | str
    integers: float | str
    back: int | str


class Refused(Exception):
    """What a command said."""


def told(*words: str) -> dict:
    """A command's JSON."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command([*words, "--json"])
    if status == 2:
        raise Refused(err.getvalue().strip().splitlines()[-1].partition(": ")[2])
    return json.loads(out.getvalue())


def live(case: Case, place: Path, x: np.ndarray, theirs: np.ndarray) -> tuple[int, float | str]:
    """The module imported as it is; leaves `q.nir`."""
    assert case.imported is not None
    expected = {"output": theirs}
    try:
        network = case.imported()
    except InputError as error:
        raise Refused(str(error)) from None
    different = expect_float(network, x, expected).output.different
    try:
        quantized = quantize(network, x)
    except InputError as error:
        return different, str(error)
    integers = expect_integers(quantized, x, expected).output
    write_nir(quantized, place / "q.nir")
    return different, 1 - integers.different / integers.bins


def by_file(case: Case, place: Path, x: np.ndarray, theirs: np.ndarray, framework: str) -> tuple[int, float | str]:
    """The file that the framework writes, by the command line; leaves `q.nir`."""
    assert case.write is not None
    try:
        case.write(place / "net.nir")
    except Exception as error:  # whatever a foreign exporter throws is the result
        raise Refused(f"its exporter: {type(error).__name__}: {error}") from None
    np.save(place / "x.npy", x)
    np.savez(place / "theirs.npz", output=theirs)
    meaning = ["--from", framework, *case.options]
    given = ["--input", str(place / "x.npy"), "--expect", str(place / "theirs.npz")]
    different = told("verify", str(place / "net.nir"), *meaning, *given)["output"]["different"]
    try:
        told("quantize", str(place / "net.nir"), *meaning, "--calibration", str(place / "x.npy"), "--out", str(place / "q.nir"))
    except Refused as error:
        return different, str(error)
    integers = told("verify", str(place / "q.nir"), *given)["output"]
    return different, 1 - integers["different"] / integers["bins"]


def back(path: Path, place: Path, x: np.ndarray, reader: Callable[[Path, np.ndarray], np.ndarray], dt: float) -> int | str:
    """Bins in which the framework's reading of our file is not the file's float meaning."""
    network = replace(read_nir(path), dt=dt)
    write_nir(network, place / "out.nir")
    meant = simulate_float(dequantize(network), x, T, dtype=torch.float64)["output"]
    try:
        return int((reader(place / "out.nir", x).reshape(meant.shape) != (meant > 0)).sum())
    except Exception as error:  # whatever a foreign reader throws is the result
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def measured(framework: str) -> Iterator[Row]:
    """Every case of a framework."""
    module = FRAMEWORKS[framework]
    version, date = metadata.version(framework), time.strftime("%Y-%m-%d")
    for case in module.cases():
        x, theirs = case.recorded()
        assert theirs.any(), f"{framework} {case.name} never fires, so that equal bins say nothing"
        floats: int | str
        integers: float | str
        floats, integers, again = "", "", "-"
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            try:
                floats, integers = live(case, place, x, theirs) if case.way == "live" else by_file(case, place, x, theirs, framework)
            except Refused as error:
                floats = integers = str(error).replace(f"{place}/", "")
            if (place / "q.nir").exists() and hasattr(module, "read_back"):
                again = back(place / "q.nir", place, x, module.read_back, module.DT)
            integers = integers.replace(f"{place}/", "") if isinstance(integers, str) else integers
        print(f"{framework} {case.name}: {floats} of {theirs.size} bins, {integers}, back {again}", file=sys.stderr)
        yield Row(
            framework,
            version,
            platform.python_version(),
            date,
            case.name,
            case.way,
            theirs.size,
            int(theirs.sum()),
            floats,
            integers,
            again,
        )


def table(rows: list[Row]) -> str:
    """Markdown: a line for each network, and under it one for each framework's version."""
    lines = [
        "| framework | network | in | float: bins that differ | 8 bits: bins that agree | out: bins that differ |",
        "|---|---|---|---:|---:|---:|",
    ]
    for row in rows:
        whole = f"{row.floats:,} of {row.bins:,}" if isinstance(row.floats, int) else _short(row.floats)
        share = f"{row.integers:.1%}" if isinstance(row.integers, float) else _short(row.integers)
        if row.floats == row.integers:
            whole, share = "refused", _short(str(row.integers))
        again = f"{row.back:,} of {row.bins:,}" if isinstance(row.back, int) else _short(row.back)
        lines.append(f"| {row.framework} | {row.case} | {row.way} | {whole} | {share} | {again} |")
    versions = sorted({f"{row.framework} {row.version} on Python {row.python}, {row.date}" for row in rows})
    return "\n".join([*lines, "", f"{SAMPLES} samples x {T} timesteps, random spikes or pixels. Measured: {'; '.join(versions)}."])


def _short(said: str) -> str:
    said = said.replace("|", "/").strip()
    return said if len(said) <= SAID_MAX else f"{said[:SAID_MAX].rsplit(' ', 1)[0]} ..."


def main() -> None:
    """Measure what is installed, keep the rest, write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/interop.json"), help="rows, also of earlier runs")
    parser.add_argument("--into", type=Path, help="the document whose table is replaced")
    parser.add_argument("--only", nargs="*", default=[], choices=[*FRAMEWORKS], help="measure these, keep the others")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = [Row(**row) for row in json.loads(arguments.results.read_text())] if arguments.results.exists() else []
    rows: list[Row] = []
    for framework in FRAMEWORKS:
        here = importlib.util.find_spec(framework) is not None and framework in (arguments.only or FRAMEWORKS)
        rows += measured(framework) if here else [row for row in kept if row.framework == framework]
    write_json(arguments.results, [asdict(row) for row in rows])
    publish(arguments.into, "interop/matrix.py", table(rows))


if __name__ == "__main__":
    main()
