"""Relief transfer: gives a height map the landforms of one or more exemplars (docs: "Relief transfer").

The default method is sliced Wasserstein transport on height patches that takes turns with drainage
(backend.algorithms.relief.relief_transfer); the feature losses of 2024 are in backend.algorithms.feature_transfer. Here inputs
are brought to one pixel size and checked, and the result is given its relief. Knows no socket, no file and no
Blender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
import torch

from backend.algorithms.relief.relief_transfer import DROP_M, TransferSettings, resample, transfer_relief
from backend.files import exemplars as shipped
from backend.ops.terrain.drainage import drain
from backend.runtime.context import JobContext
from shared.arrays import Array, height_map
from shared.catalog.morphology import MorphologyParams
from shared.errors import InvalidInput

LEAST_MAP_SIDE = 16
LEAST_EXEMPLAR_SIDE = 20  # pixels of the height map: less has no room for a few different 7 x 7 patches
MOST_EXEMPLAR_SIDE = 16384
PROGRESS_STEPS = 1000


def run(params: MorphologyParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """inputs: height (HEIGHT_MAP), exemplar (HEIGHT_MAPs, any number), classes (CLASS_MAP or None). Returns height
    (HEIGHT_MAP).

    Exemplars of another pixel size are resampled to the height map's, antialiased where that is coarser; where it
    is finer they come out smooth at the smallest scales, for detail that was not measured is not invented. Without
    classes several exemplars are pooled.
    """
    layout: Array = inputs["height"]
    if min(layout.values.shape) < LEAST_MAP_SIDE:
        raise InvalidInput(
            f"The height map is {_size(layout.values)}; relief transfer needs at least {LEAST_MAP_SIDE} pixels "
            f"to each side.",
            field="height",
        )
    given = tuple(inputs.get("exemplar") or ())
    exemplars = [
        _at_pixel_size(exemplar, layout.pixel_size_m) for exemplar in given or (shipped.load(params.landform),)
    ]
    classes = _checked_classes(inputs.get("classes"), layout.values.shape, len(exemplars))
    numba.set_num_threads(min(job.threads, numba.config.NUMBA_NUM_THREADS))
    if params.method == "sliced-wasserstein":
        height = _transport(params, layout.values, exemplars, classes, job)
    else:
        height = _features(params, layout.values, exemplars, classes, job)
    if params.relief > 0:
        height = _with_relief(height, params.relief)
    if params.drainage:
        height = drain(height, drop=DROP_M)
    job.step(PROGRESS_STEPS, PROGRESS_STEPS, "done")
    kept = {name: value for name, value in layout.attributes.items() if name != "pixel_size_m"}
    return {"height": height_map(height, layout.pixel_size_m, **kept)}


def _transport(
    params: MorphologyParams,
    layout: np.ndarray,
    exemplars: list[np.ndarray],
    classes: np.ndarray | None,
    job: JobContext,
) -> np.ndarray:
    settings = TransferSettings(
        steps=params.steps, filters=2 * -(-params.filters // 2), landform_px=params.landform_px, layout=params.layout,
        drainage=params.drainage,
    )  # fmt: skip

    def observe(share: float, stage: str, height: Callable[[], np.ndarray]) -> bool:
        job.step(int(share * (PROGRESS_STEPS - 1)), PROGRESS_STEPS, stage)
        job.preview(height=height)
        return not job.finish_early

    return transfer_relief(layout, exemplars, settings, job.generator, classes=classes, observe=observe)


def _features(
    params: MorphologyParams,
    layout: np.ndarray,
    exemplars: list[np.ndarray],
    classes: np.ndarray | None,
    job: JobContext,
) -> np.ndarray:
    from backend.algorithms.relief import feature_transfer  # only here: it brings networks

    def tensor(values: np.ndarray) -> torch.Tensor:  # [1, 1, H, W]
        return torch.from_numpy(np.ascontiguousarray(values))[None, None].to(job.device)

    weights = None
    if classes is not None:
        labels = torch.from_numpy(classes.astype(np.int64))
        weights = torch.nn.functional.one_hot(labels, len(exemplars)).movedim(-1, 0)[None].float().to(job.device)
    result = feature_transfer.transfer(params, tensor(layout), [tensor(e) for e in exemplars], weights, job)
    return result[0, 0].detach().cpu().numpy()


def _at_pixel_size(exemplar: Array, pixel_size_m: float) -> np.ndarray:
    """The exemplar's heights at the map's pixel size; InvalidInput where that leaves less than a few patches."""
    ratio = exemplar.pixel_size_m / pixel_size_m
    size = tuple(round(side * ratio) for side in exemplar.values.shape)
    become = (
        f"An exemplar of {_size(exemplar.values)} at {exemplar.pixel_size_m:g} m a pixel becomes {size[1]} x {size[0]}"
        f" at the height map's {pixel_size_m:g} m"
    )
    if min(size) < LEAST_EXEMPLAR_SIDE:
        raise InvalidInput(
            f"{become}; it takes at least {LEAST_EXEMPLAR_SIDE}.",
            hint="Use a larger exemplar, or check the pixel size of both maps.",
            field="exemplar",
        )
    if max(size) > MOST_EXEMPLAR_SIDE:
        raise InvalidInput(
            f"{become}; {MOST_EXEMPLAR_SIDE} is the most.",
            hint="Check the pixel size of both maps, or crop the exemplar.",
            field="exemplar",
        )
    return resample(exemplar.values, size)


def _checked_classes(classes: Array | None, shape: tuple[int, int], exemplars: int) -> np.ndarray | None:
    if classes is None:
        return None
    if classes.values.shape != shape:
        raise InvalidInput(
            f"The class map is {_size(classes.values)}; the height map is {shape[1]} x {shape[0]}.", field="classes",
        )  # fmt: skip
    highest = int(classes.values.max())
    if highest >= exemplars:
        raise InvalidInput(
            f"The class map names class {highest}; there are {exemplars} exemplars, counted from 0.", field="classes"
        )
    return classes.values if exemplars > 1 else None


def _with_relief(height: np.ndarray, relief_m: float) -> np.ndarray:
    """The same shape with its highest point relief_m above its lowest, which stays; slopes scale with it."""
    low, high = float(height.min()), float(height.max())
    return height if high <= low else ((height - low) * (relief_m / (high - low)) + low).astype(np.float32)


def _size(values: np.ndarray) -> str:
    return f"{values.shape[1]} x {values.shape[0]} pixels"
