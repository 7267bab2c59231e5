"""Relief transfer: gives a height map the landforms of one or more exemplars (docs: "Relief transfer").

The default method is sliced Wasserstein transport on height patches that takes turns with drainage
(backend.algorithms.relief.relief_transfer); the feature losses of 2024 are in backend.algorithms.relief.feature_transfer. Inputs
are brought to one pixel size and checked here, and the result is given its relief. Knows no socket, no file and no
Blender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
    height = _transferred(params, layout, inputs, job)
    job.step(PROGRESS_STEPS, PROGRESS_STEPS, "done")
    kept = {name: value for name, value in layout.attributes.items() if name != "pixel_size_m"}
    return {"height": height_map(height.cpu().numpy(), layout.pixel_size_m, **kept)}


def _transferred(params: MorphologyParams, layout: Array, inputs: Mapping[str, Any], job: JobContext) -> Tensor:
    """The new height map [H, W] float32 m on the job's device."""
    if min(layout.values.shape) < LEAST_MAP_SIDE:
        raise InvalidInput(
            f"The height map is {_size(layout.values)}; relief transfer needs at least {LEAST_MAP_SIDE} pixels "
            f"to each side.",
            field="height",
        )
    given = tuple(inputs.get("exemplar") or ())
    exemplars = [
        _at_pixel_size(exemplar, layout.pixel_size_m).to(job.device)
        for exemplar in given or (shipped.load(params.landform),)
    ]
    classes = _checked_classes(inputs.get("classes"), layout.values.shape, len(exemplars))
    at_device = None if classes is None else _tensor(classes).to(job.device)
    transfer = _transport if params.method == "sliced-wasserstein" else _features
    height = transfer(params, _tensor(layout.values).to(job.device), exemplars, at_device, job)
    if params.relief > 0:
        height = _with_relief(height, params.relief)
    return drain(height, drop=DROP_M) if params.drainage else height


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _transport(
    params: MorphologyParams, layout: Tensor, exemplars: list[Tensor], classes: Tensor | None, job: JobContext
) -> Tensor:
    settings = TransferSettings(
        steps=params.steps, filters=2 * -(-params.filters // 2), landform_px=params.landform_px, layout=params.layout,
        drainage=params.drainage,
    )  # fmt: skip

    def observe(share: float, stage: str, height: Callable[[], Tensor]) -> bool:
        job.step(int(share * (PROGRESS_STEPS - 1)), PROGRESS_STEPS, stage)
        job.preview(height=height)
        return not job.finish_early

    return transfer_relief(layout, exemplars, settings, job.generator, classes=classes, observe=observe)


def _features(
    params: MorphologyParams, layout: Tensor, exemplars: list[Tensor], classes: Tensor | None, job: JobContext
) -> Tensor:
    from backend.algorithms.relief import feature_transfer  # only here: it brings networks

    weights = None
    if classes is not None:
        weights = torch.nn.functional.one_hot(classes.long(), len(exemplars)).movedim(-1, 0)[None].float()
    maps = [exemplar[None, None] for exemplar in exemplars]
    return feature_transfer.transfer(params, layout[None, None], maps, weights, job)[0, 0].detach()


def _at_pixel_size(exemplar: Array, pixel_size_m: float) -> Tensor:
    """The exemplar's heights at the map's pixel size; InvalidInput where that leaves less than a few patches."""
    ratio = exemplar.pixel_size_m / pixel_size_m
    size = tuple(round(side * ratio) for side in exemplar.values.shape)
    become = (
        f"An exemplar of {_size(exemplar.values)} at {exemplar.pixel_size_m:g} m per pixel becomes {size[1]} x {size[0]}"
        f" at the height map's {pixel_size_m:g} m"
    )
    if min(size) < LEAST_EXEMPLAR_SIDE:
        raise InvalidInput(
            f"{become}; at least {LEAST_EXEMPLAR_SIDE} are needed.",
            hint="Use a larger exemplar, or check the pixel size of both maps.",
            field="exemplar",
        )
    if max(size) > MOST_EXEMPLAR_SIDE:
        raise InvalidInput(
            f"{become}; at most {MOST_EXEMPLAR_SIDE} are allowed.",
            hint="Check the pixel size of both maps, or crop the exemplar.",
            field="exemplar",
        )
    return resample(_tensor(exemplar.values), size)


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
            f"The class map contains class {highest}; there are {exemplars} exemplars, counted from 0.", field="classes"
        )
    return classes.values if exemplars > 1 else None


def _with_relief(height: Tensor, relief_m: float) -> Tensor:
    """The same shape with its highest point relief_m above its lowest, which stays; slopes scale with it."""
    low, high = float(height.min()), float(height.max())
    return height if high <= low else (height - low) * (relief_m / (high - low)) + low


def _size(values: np.ndarray) -> str:
    return f"{values.shape[1]} x {values.shape[0]} pixels"
