"""One job from checked input to checked output, wherever it runs: in a worker, on the command line, in a Python call.

Decides the device, sets the threads, and writes down in the recipe what really ran. Turns what libraries throw (memory, disk)
into the project's errors; everything else that escapes is a defect and is logged as one.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from backend.ops import dispatch
from backend.runtime import device_failures, device_memory, device_speeds, registry, threads
from backend.runtime.context import JobContext
from backend.runtime.device import resolve
from backend.runtime.kernel_compiler import compiling_aside
from shared.algorithm import AlgorithmSpec, Arrays, Port, check_array, check_inputs
from shared.arrays import Array
from shared.errors import DeclarationError, InternalError, InvalidParameter, OutOfMemory, RelievoError, StorageFull
from shared.params import describe, to_json, with_role
from shared.recipe import make_recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Computed:
    """outputs: a tuple of arrays for every output port that the run made. recipe: what repeats it, as JSON."""

    outputs: dict[str, tuple[Array, ...]]
    recipe: dict[str, Any]


def compute(
    spec: AlgorithmSpec, params: Any, arrays: Arrays, job: JobContext, *, sources: Mapping[str, list[str]] | None = None
) -> Computed:
    """Run an algorithm on checked arrays and check what it returns.

    params: an instance of spec.params. arrays: a tuple of Array by port. sources: where each came from, for the recipe.
    job.device becomes the device that the algorithm runs on (device.resolve); where that is not what was asked for, the log,
    the progress and the recipe say so. A job whose card fails begins again on the CPU, if its algorithm runs there, and one whose
    CUDA kernels cannot be compiled without them.

    Raises RelievoError and nothing else: the algorithm's own, JobCancelled, OutOfMemory, StorageFull, InternalError, or
    InvalidParameter for a device that is not there.
    """
    kinds = device_speeds.ordered(spec, params, device_speeds.work_pixels(spec, params, arrays))
    resolved = resolve(job.wanted_device, kinds, spec.label, job.usable_devices)
    job.device, job.declared_weights = resolved.device, spec.weights
    job.say_where(resolved.note)
    inputs = check_inputs(spec, arrays, to_json(params))
    try:
        aside = compiling_aside(spec.name, job.compiling)
        with aside, _implementation(job.implementation), threads.using(job.threads):
            made = _made(spec, params, inputs, job)
            plain = dispatch.plain_only() or (job.device.type == "cpu" and not dispatch.compiler_works())
        outputs = {name: given if isinstance(given, tuple) else (given,) for name, given in made.items()}
        _check_outputs(spec, outputs)
        recipe = make_recipe(spec, params, arrays, device=str(job.device), sources=sources)
    except (RelievoError, DeclarationError):
        raise
    except Exception as error:
        raise as_relievo_error(error, spec.label) from error
    return Computed(outputs=outputs, recipe=recipe | _how(plain, job))


def _made(spec: AlgorithmSpec, params: Any, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Any]:
    """What the algorithm returns, from a run that begins again where its kernels or its card fail."""
    run, seeded = registry.implementation(spec.name), job.generator.get_state()
    while True:
        note = ""
        try:
            device_memory.limit(job.device)
            with torch.cuda.device(job.device) if job.device.type == "cuda" else nullcontext():
                return _outputs_of(spec, run(params, inputs, job))
        except dispatch.KernelFailed as error:
            dispatch.give_up_cuda_kernels(error)
        except RuntimeError as error:
            failed = device_failures.failure_of(error, job.device)
            if failed is None or "cpu" not in spec.job_devices(params):
                raise
            log.error("%s on %s", spec.label, job.device, exc_info=error)
            job.device_is_lost |= failed.is_lost
            note = f"{job.device} {failed.what}; {spec.label} runs on the CPU."
        device_failures.free_memory(job.device)  # here, since the error above holds on to the run's tensors
        job.generator.set_state(seeded)
        if note:
            job.device = torch.device("cpu")
            job.say_where(note)


def _how(plain: bool, job: JobContext) -> dict[str, Any]:
    """What the recipe says beyond the parameters, each only where there is something to say: why the device is not the one that
    was asked for, implementations other than the compiled ones, and the SHA-256 of the weights that were used."""
    how = {
        "device_note": job.device_note,
        "implementation": "plain" if plain else "",
        "weights": dict(job.used_weights),
    }
    return {key: value for key, value in how.items() if value}


@contextmanager
def _implementation(wanted: str) -> Iterator[None]:
    """RELIEVO_IMPL as a job asks for it ("" leaves it alone), and as before afterwards. InvalidParameter where it is no value."""
    before = os.environ.get(dispatch.VARIABLE)
    if wanted:
        os.environ[dispatch.VARIABLE] = wanted
    try:
        try:
            dispatch.plain_only()
        except ValueError as error:
            raise InvalidParameter(f"{error}.", hint="Correct the variable or unset it.", field="") from error
        yield
    finally:
        if before is None:
            os.environ.pop(dispatch.VARIABLE, None)
        else:
            os.environ[dispatch.VARIABLE] = before


def job_seed(params: Any) -> int:
    """The seed that a job's generator starts from: its parameter of the role "seed", 0 for an engine that has none."""
    return next((int(getattr(params, entry.name)) for entry in with_role(describe(type(params)), "seed")), 0)


def as_relievo_error(error: BaseException, what: str) -> RelievoError:
    """The project's error for one of a library's; InternalError, logged with its traceback, for one that is not expected."""
    if isinstance(error, RelievoError):
        return error
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return OutOfMemory(f"{what} ran out of memory.", hint="Use a smaller map, or close other programs.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return StorageFull(
            f"{what} could not write: {error.strerror}.", hint="Free some space on the disk and try again."
        )
    log.error("%s failed", what, exc_info=error)
    return InternalError(
        f"{what} failed: {type(error).__name__}: {error}",
        hint="This is a bug; the log has the details. Please report it.",
    )


def _outputs_of(spec: AlgorithmSpec, returned: Any) -> dict[str, Any]:
    if not isinstance(returned, Mapping):
        raise InternalError(
            f"run() of {spec.label} returned a {type(returned).__name__}; it must return a dictionary from output ports to Arrays."
        )
    return dict(returned)


def _check_outputs(spec: AlgorithmSpec, outputs: dict[str, tuple[Array, ...]]) -> None:
    ports = {port.name: port for port in spec.outputs}
    unknown = outputs.keys() - ports.keys()
    missing = {name for name, port in ports.items() if not port.optional} - outputs.keys()
    if unknown or missing:
        raise InternalError(f"{spec.label} made {sorted(outputs)}; it declares {sorted(ports)}.")
    for name, given in outputs.items():
        if len(given) > 1 and not ports[name].many:
            raise InternalError(f"{spec.label} made {len(given)} arrays for {name!r}; it declares one.")
        for array in given:
            _check_output(spec, ports[name], array)


def _check_output(spec: AlgorithmSpec, port: Port, array: Array) -> None:
    if not isinstance(array, Array):
        raise InternalError(
            f"{spec.label} made a {type(array).__name__} for {port.name!r}; it must be an Array (shared/arrays.py)."
        )
    if array.kind is not port.kind:
        raise InternalError(f"{spec.label} made a {array.kind.name} for {port.name!r}; it declares a {port.kind.name}.")
    try:
        check_array(port, array)
    except RelievoError as error:
        raise InternalError(f"{spec.label} made a wrong {port.name!r}: {error.message}") from error
