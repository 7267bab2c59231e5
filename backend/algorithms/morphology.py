"""Relief transfer: gives a height map the landforms of one or more exemplars (docs: "Relief transfer").

The default method is sliced Wasserstein transport on height patches that takes turns with drainage
(backend.algorithms.relief.relief_transfer); the feature losses of 2024 are in backend.algorithms.relief.feature_transfer.
backend.algorithms.relief.scale decides at which scale and pixel size map and exemplars meet; here the result is given its relief
and its level. Knows no socket, no file and no Blender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms import inland_waters
from backend.algorithms.relief.refinement import RefinementSettings, refine
from backend.algorithms.relief.relief_transfer import TransferSettings, transfer_relief
from backend.algorithms.relief.runoff import DROP_M
from backend.algorithms.relief.scale import at_level, plan, refinement_plan
from backend.algorithms.relief.starts import check_relief
from backend.files import exemplars as shipped
from backend.ops.resampling import resize
from backend.ops.terrain import lakes
from backend.ops.terrain.drainage import drain
from backend.runtime.context import JobContext
from shared.arrays import Array, height_map
from shared.catalog.morphology import MorphologyParams
from shared.errors import InvalidInput

PROGRESS_STEPS = 1000
LEVEL_M, LEVEL_PX = 0.01, 1e-3  # how level water is that was drained at another pixel size, whichever is more
Settled = Callable[[Tensor], Tensor]  # heights as they are computed -> as they are given back, but not drained


def run(params: MorphologyParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """inputs: height (HEIGHT_MAP), exemplar (HEIGHT_MAPs, any number), classes (CLASS_MAP or None). Returns height
    (HEIGHT_MAP), rivers and lakes.

    Exemplars of another pixel size are resampled to the height map's, antialiased where that is coarser. Where it is finer
    they are scaled down to it (scale "fit", on maps smaller than their landforms), or come out smooth at the smallest scales,
    for detail that was not measured is not invented. Without classes several exemplars are pooled.
    """
    layout: Array = inputs["height"]
    height = (_refined if params.refine > 1 else _transferred)(params, layout, inputs, job)
    pixel_size_m = layout.pixel_size_m / params.refine
    still = lakes.still_lakes(height, pixel_size_m, level_m=max(LEVEL_M, LEVEL_PX * layout.pixel_size_m))
    made = height_map(height.cpu().numpy(), **{**layout.attributes, "pixel_size_m": pixel_size_m})
    waters = inland_waters.outputs(still, made.attributes)
    job.step(PROGRESS_STEPS, PROGRESS_STEPS, "done")
    return {"height": made, **waters}


def _transferred(params: MorphologyParams, layout: Array, inputs: Mapping[str, Any], job: JobContext) -> Tensor:
    """The new height map [H, W] float32 m on the job's device."""
    given = tuple(inputs.get("exemplar") or ()) or (shipped.load(params.landform, int(params.edition)),)
    planned = plan(layout, given, params.scale, legacy=params.legacy)
    classes = _checked_classes(inputs.get("classes"), layout.values.shape, len(given))
    exemplars = [exemplar.to(job.device) for exemplar in planned.exemplars(given)]
    if params.rivers == "profile" and not params.legacy:
        check_relief(exemplars)  # earlier versions made a plain of it
    whole = _tensor(layout.values).to(job.device)
    at_device = None if classes is None else planned.classes(_tensor(classes).to(job.device))
    if planned.pixel_size_m != layout.pixel_size_m:
        params = replace(params, landform_px=params.landform_px * layout.pixel_size_m / planned.pixel_size_m)

    def settled(height: Tensor) -> Tensor:
        """At the map's size, scale, relief and level."""
        height = height if height.shape == whole.shape else resize(height, whole.shape)
        height = height if planned.factor == 1.0 else height * planned.factor
        height = _with_relief(height, params.relief) if params.relief > 0 else height
        return at_level(height, whole, params.level)

    transfer = _transport if params.method == "sliced-wasserstein" else _features
    height = settled(transfer(params, planned.layout(whole), exemplars, at_device, settled, job))
    if not params.drainage or (params.rivers == "profile" and planned.shape == whole.shape):
        return height  # what drains still does when it is scaled or moved as a whole
    return drain(height, drop=DROP_M * planned.factor)


def _refined(params: MorphologyParams, layout: Array, inputs: Mapping[str, Any], job: JobContext) -> Tensor:
    """The map [H * refine, W * refine] float32 m with the exemplars' finest detail, and otherwise as it is."""
    if params.method != "sliced-wasserstein":
        raise InvalidInput(
            f"Detail is added by Sliced Wasserstein only, not by the method {params.method}.",
            hint="Set Refine to 1 (--refine 1), or Method to Sliced Wasserstein (--method sliced-wasserstein).",
            field="refine",
        )
    given = tuple(inputs.get("exemplar") or ()) or (shipped.load(params.landform),)
    classes = _checked_classes(inputs.get("classes"), layout.values.shape, len(given))
    planned = refinement_plan(layout, given, params.refine, params.scale)
    settings = RefinementSettings(
        times=params.refine, gain=planned.gain, steps=params.steps, filters=2 * -(-params.filters // 2),
        drainage=params.drainage, drop_m=DROP_M * min(1.0, layout.pixel_size_m / params.refine),
    )  # fmt: skip
    labels = None if classes is None else _tensor(classes)
    return refine(
        _tensor(layout.values), planned.exemplars(given), settings, job.generator, classes=labels,
        observe=lambda share, stage, height: _observed(job, share, stage, height),
    )  # fmt: skip


def _observed(job: JobContext, share: float, stage: str, height: Callable[[], Tensor]) -> bool:
    """Report, show the map as it is to be, and say whether to go on."""
    job.step(int(share * (PROGRESS_STEPS - 1)), PROGRESS_STEPS, stage)
    job.preview(height=height)
    return not job.finish_early


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _transport(
    params: MorphologyParams, layout: Tensor, exemplars: list[Tensor], classes: Tensor | None, settled: Settled,
    job: JobContext,
) -> Tensor:  # fmt: skip
    settings = TransferSettings(
        steps=params.steps, filters=2 * -(-params.filters // 2), landform_px=params.landform_px, layout=params.layout,
        drainage=params.drainage, legacy=params.legacy, profiles=params.rivers == "profile",
    )  # fmt: skip

    def observe(share: float, stage: str, height: Callable[[], Tensor]) -> bool:
        return _observed(job, share, stage, lambda: settled(height()))

    return transfer_relief(layout, exemplars, settings, job.generator, classes=classes, observe=observe)


def _features(
    params: MorphologyParams, layout: Tensor, exemplars: list[Tensor], classes: Tensor | None, settled: Settled,
    job: JobContext,
) -> Tensor:  # fmt: skip
    from backend.algorithms.relief import feature_transfer  # only here: it brings networks

    weights = None
    if classes is not None:
        weights = torch.nn.functional.one_hot(classes.long(), len(exemplars)).movedim(-1, 0)[None].float()
    maps = [exemplar[None, None] for exemplar in exemplars]
    made = feature_transfer.transfer(
        params, layout[None, None], maps, weights, job, shown=lambda height: settled(height[0, 0])
    )
    return made[0, 0].detach()


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
