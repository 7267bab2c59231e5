"""Claim: every CUDA kernel compiles for the cards that are asked for, on a machine that has none.

The tests of the ops run in numba's simulator, and every kernel that they launch is noted with the types that it got; numba-cuda
(of backend-cuda.lock) then compiles it to machine code for each architecture. Operations in double precision are counted, which
most cards do 64 times slower: a kernel of float32 should have none. What a kernel computes is the tests' matter, and how
fast it is can be measured on a card only (benchmarks/device.py).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TESTS = "tests/backend/ops"
RECORD = "RELIEVO_KERNEL_RECORD"  # the file that the recording half of this module writes to
ARCHITECTURES = ("7.5", "8.9", "9.0")  # Turing, Ada, Hopper


def main(argv: list[str] | None = None) -> int:
    """Print a row for each kernel; 0 when all compile, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench cuda-compile", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--for", dest="targets", nargs="+", default=ARCHITECTURES, metavar="X.Y", help="architectures")
    parser.add_argument("--tests", nargs="+", default=[TESTS], help="tests that launch the kernels")
    parser.add_argument("--compile", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.compile:
        assume_card(options.targets[-1])
        failed = [row for row in recorded(options.compile) if not compiled(row, options.targets)]
        return 1 if failed else 0
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "kernels.jsonl"
        environment = {**os.environ, RECORD: str(record), "NUMBA_ENABLE_CUDASIM": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-k", "cuda", "-p", "benchmarks.cuda_compile", *options.tests]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        again = [sys.executable, "-m", "benchmarks.cuda_compile", "--compile", str(record), "--for", *options.targets]
        return subprocess.run(again, cwd=ROOT, env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0"}).returncode


def pytest_configure() -> None:
    """As a plugin of pytest: note every kernel that is launched."""
    from torch import Tensor

    from backend.ops import cuda_kernels

    launch, file = cuda_kernels.Kernel.launch, Path(os.environ[RECORD])

    def noted(self: cuda_kernels.Kernel, threads: Any, *args: Any, block: Any = None) -> None:
        types = [
            [str(arg.dtype).removeprefix("torch."), arg.ndim, "C" if arg.is_contiguous() else "A"]
            if isinstance(arg, Tensor)
            else type(arg).__name__
            for arg in args
        ]
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps([self.module, self.name, types]) + "\n")
        launch(self, threads, *args, block=block)

    cuda_kernels.Kernel.launch = noted


def recorded(file: Path) -> Iterator[tuple[str, str, list[Any]]]:
    """Module, name and types of each kernel of the shipped code, once."""
    lines = sorted(set(file.read_text(encoding="utf-8").splitlines()))
    for line in lines:
        module, name, types = json.loads(line)
        if module.startswith("backend."):
            yield module, name, types


def assume_card(target: str) -> None:
    """Have device functions, which ask for the card of the moment, compiled for this architecture where there is none."""
    from numba import cuda
    from numba.cuda import dispatcher

    if not cuda.is_available():
        card = SimpleNamespace(compute_capability=tuple(map(int, target.split("."))))
        dispatcher.get_current_device = lambda: card  # pyright: ignore[reportPrivateImportUsage]


def compiled(row: tuple[str, str, list[Any]], targets: list[str]) -> bool:
    """Whether the kernel compiles for all targets; says how long that took and how large it is, or what was wrong."""
    from numba import cuda

    module, name, found = row
    function = getattr(importlib.import_module(module), name).function
    signature = tuple(numba_type(part) for part in found)
    began, sizes, doubles = time.perf_counter(), [], 0
    try:
        for target in targets:
            major, minor = map(int, target.split("."))
            text, _ = cuda.compile_ptx(function, signature, cc=(major, minor))  # pyright: ignore[reportPrivateImportUsage]
            doubles = len(re.findall(r"\b(?:add|sub|mul|fma|div|sqrt|cvt)\S*\.f64", text))
            sizes.append(len(machine_code(text, 10 * major + minor)))
    except Exception as error:  # of the compiler, the linker, or a missing package: the row says which
        print(f"FAILED {module}.{name}{signature}: {type(error).__name__}: {str(error)[:2000]}")
        return False
    shown = f"{module.removeprefix('backend.ops.')}.{name}"
    print(
        f"{shown:<64} {time.perf_counter() - began:6.2f} s {', '.join(f'{size:,}' for size in sizes)} bytes"
        + (f", {doubles} operations in double precision" if doubles else "")
    )
    return True


def numba_type(found: Any) -> Any:
    """The type of an argument as numba sees it at a launch with tensors."""
    from numba import types

    if isinstance(found, str):
        return {"int": types.int64, "float": types.float64, "bool": types.boolean}.get(found) or getattr(types, found)
    dtype, dimensions, layout = found
    return types.Array(types.boolean if dtype == "bool" else getattr(types, dtype), dimensions, layout, aligned=True)


def machine_code(text: str, architecture: int) -> bytes:
    """Machine code of PTX. Raises what nvJitLink raises."""
    from cuda.bindings import nvjitlink  # pyright: ignore[reportMissingImports]  # in backend-cuda.lock alone

    handle = nvjitlink.create(1, [f"-arch=sm_{architecture}"])
    nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text.encode(), len(text), "kernel")
    nvjitlink.complete(handle)
    code = bytearray(nvjitlink.get_linked_cubin_size(handle))
    nvjitlink.get_linked_cubin(handle, code)
    nvjitlink.destroy(handle)
    return bytes(code)


if __name__ == "__main__":
    raise SystemExit(main())
