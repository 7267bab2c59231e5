"""The computing side of Relievo. Importing it is cheap: torch and ZeroMQ come with the first call that needs them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.arrays import Array

__all__ = ["run"]

# GNU OpenMP reads this when it is loaded. Its own default lets a waiting thread spin for milliseconds, which on a
# machine that does anything else besides makes short parallel loops twenty times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def run(
    algorithm: str,
    *,
    preset: str = "",
    pixel_size_m: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_progress: Callable[[int, int, str, float | None], None] | None = None,
    **values: Any,
) -> dict[str, Any]:
    """Compute in this process, with no server: `run("morphology", height=..., exemplar=..., seed=7)`.

    values: the algorithm's input ports and parameters by name. A port takes an `shared.arrays.Array`, or a bare NumPy
    array (float32 metres, row 0 at the top) with pixel_size_m beside it, or a list of either where the port takes
    many. preset: one of the algorithm's presets; parameters given beside it win. device: "auto" (the fastest
    that `prepare` has measured, else the first of the algorithm's devices that there is), "cpu", "cuda:0". threads: how many the
    run may use, at least 1; None for every core, or RELIEVO_THREADS where that is set. No byte depends on it.
    on_progress(done, total, stage, remaining_s) is called while it runs; whatever it raises ends the run.

    Returns every output port as an Array: `run(...)["height"].values` is the map; a port of many gives a tuple of them.
    Raises shared.errors.RelievoError.
    """
    from backend.runtime import registry
    from shared.errors import InvalidParameter
    from shared.params import parse, with_role

    if threads is not None and threads < 1:
        raise InvalidParameter(f"{threads} threads cannot run anything.", hint="Give 1 or more.", field="threads")
    spec = registry.find_algorithm(algorithm)
    ports = {port.name: port for port in spec.inputs}
    arrays = {name: _as_arrays(ports[name], value, pixel_size_m) for name, value in values.items() if name in ports}
    chosen = dict(spec.preset(preset).values) if preset else {}
    chosen |= {name: value for name, value in values.items() if name not in ports}
    if pixel_size_m is not None:  # an engine without inputs asks for it as a parameter
        chosen |= {parameter.name: pixel_size_m for parameter in with_role(spec.parameters, "pixel_size")}
    params = parse(spec.params, chosen)

    from backend.runtime.compute import compute, job_seed
    from backend.runtime.context import JobContext

    job = JobContext(seed=job_seed(params), device=device, threads=threads, on_progress=on_progress)
    outputs = compute(spec, params, arrays, job).outputs
    many = {port.name for port in spec.outputs if port.many}
    return {name: given if name in many else given[0] for name, given in outputs.items()}


def _as_arrays(port: Any, value: Any, pixel_size_m: float | None) -> tuple[Array, ...]:
    if value is None:
        return ()
    items = value if port.many and isinstance(value, (list, tuple)) else (value,)
    return tuple(_as_array(port.kind, item, pixel_size_m) for item in items)


def _as_array(kind: Any, value: Any, pixel_size_m: float | None) -> Array:
    import numpy as np

    from shared.arrays import Array
    from shared.errors import InvalidInput

    if isinstance(value, Array):
        return value
    values = np.ascontiguousarray(value)
    if kind.color_space == "linear" and values.dtype.kind in "iu" and np.dtype(kind.dtype).kind == "f":
        raise InvalidInput(
            f"An array of {values.dtype} was given for a {kind.name}, which is float32 and linear.",
            hint=f"For an sRGB image: shared.srgb.srgb_to_linear(values / {np.iinfo(values.dtype).max}).",
        )
    if values.dtype.kind in "fiu" and np.dtype(kind.dtype).kind == "f":
        values = values.astype(kind.dtype, copy=False)
    attributes = (
        {"pixel_size_m": pixel_size_m} if pixel_size_m is not None and "pixel_size_m" in kind.attributes else {}
    )
    return Array(kind, values, attributes)
