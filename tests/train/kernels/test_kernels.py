"""Triton's kernels without a GPU: equal to PyTorch in Triton's interpreter, compiled for GPUs that
are not here, absent without harm.
"""

import os
import subprocess
import sys

import pytest
import torch
from support.oracles.kernel_cases import DSR_CONFIGS, LIF_CONFIGS
from support.places import TESTS

from spikeport.train.neurons.stbp import LIFConfig, parametric_lif
from spikeport.train.neurons.surrogates import SURROGATES, Surrogate
from spikeport.train.neurons.tsslbp import TSSLConfig

CONFIGS = [LIF_CONFIGS[0], LIF_CONFIGS[-1], parametric_lif(), *DSR_CONFIGS[:2], TSSLConfig()]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Another Python, where Triton is not imported yet."""
    where = {**os.environ, **environment}
    return subprocess.run([sys.executable, *arguments], cwd=TESTS, env=where, capture_output=True, text=True, check=False)


def test_kernels_equal_pytorch_in_tritons_interpreter():
    pytest.importorskip("triton")
    done = python("-m", "pytest", "-q", "support/oracles/interpreted_kernels.py", TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout


def test_all_works_without_triton():
    code = """
import sys
sys.modules["triton"] = None
import torch
from spikeport.train.neurons.stbp import LIFConfig
import spikeport.train.loop.trainer
print(LIFConfig().build()(torch.full((3, 1), 0.8), 3).flatten().tolist())
"""
    done = python("-c", code, TRITON_INTERPRET="1")
    assert done.stdout.strip() == "[0.0, 1.0, 0.0]", done.stderr


def test_triton_is_imported_on_first_use_only():
    done = python("-c", "import sys, spikeport.train.loop.trainer; print([m for m in sys.modules if 'train.kernels.' in m])")
    assert done.stdout.strip() == "[]", done.stderr


def launches(config, timesteps: int, held: bool, dtype: torch.dtype) -> list[tuple]:
    """What a neuron layer would launch forward and backward, on the CPU and without running it."""

    from spikeport.train.kernels import dsr, lif, tsslbp  # noqa: PLC0415

    found: list[tuple] = []
    with pytest.MonkeyPatch.context() as patch:
        for module in (lif, dsr, tsslbp):
            patch.setattr(module, "launch", lambda kernel, like, *arguments, **constants: found.append((kernel, arguments, constants)))
        patch.setenv("TRITON_INTERPRET", "1")
        currents = torch.ones(1 if held else timesteps, 4, 64, dtype=dtype, requires_grad=True)
        config.build()(currents, timesteps).sum().backward()
    return found


@pytest.mark.parametrize("target", [("cuda", 80, 32), ("cuda", 90, 32), ("hip", "gfx942", 64)], ids=lambda t: f"{t[0]} {t[1]}")
def test_kernels_compile_for_gpus(target, tmp_path, monkeypatch):
    """Down to machine code, with the assembler that Triton brings."""
    pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    found = [k for config in CONFIGS for held in (False, True) for k in launches(config, 5, held, torch.bfloat16)]
    assert len(found) == 4 * len(CONFIGS)
    for kind in SURROGATES:
        found += launches(LIFConfig(surrogate=Surrogate(kind=kind)), 5, False, torch.float32)[1:]
    for kernel, arguments, constants in found:
        assert compiled(kernel, arguments, constants, GPUTarget(*target))


def compiled(kernel, arguments: tuple, constants: dict, target) -> bytes:
    """Machine code of a kernel for arguments like these, pointers and sizes aligned."""
    import triton  # noqa: PLC0415
    from triton.compiler import ASTSource  # noqa: PLC0415
    from triton.runtime.jit import mangle_type  # noqa: PLC0415

    from spikeport.train.kernels.launch import BLOCK, STAGES, WARPS  # noqa: PLC0415

    constants = {**constants, "BLOCK": BLOCK, "STAGES": STAGES}
    signature = {**dict(zip(kernel.arg_names, map(mangle_type, arguments))), **dict.fromkeys(constants, "constexpr")}
    constants |= {key: None for key, kind in signature.items() if kind == "constexpr" and key not in constants}
    aligned = {(i,): [["tt.divisibility", 16]] for i, key in enumerate(kernel.arg_names) if signature[key].startswith("*") or key == "n"}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    asm = triton.compile(source, target=target, options={"num_warps": WARPS}).asm
    return asm["cubin" if target.backend == "cuda" else "hsaco"]
