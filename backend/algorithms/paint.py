"""Paintings: an image painted with brush strokes that keep to its segments, or saved strokes painted again at any size.

Checks what it is given and puts the parts together: backend/algorithms/painting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.model_files import UnknownModel
from backend.algorithms.painting import output, patch_scheme, whole_canvas
from backend.algorithms.painting.groups import Plan, groups
from backend.algorithms.painting.patch_renderers import AnalyticRenderer, Renderer, load
from backend.algorithms.painting.scene import Scene
from backend.algorithms.painting.segmentation import regions
from backend.algorithms.painting.segments import Segments
from backend.ops.strokes.codec import from_columns
from backend.ops.tensors import as_tensor
from backend.runtime.context import JobContext
from shared.arrays import Array
from shared.catalog.paint import PaintParams
from shared.errors import InvalidInput, InvalidParameter
from shared.segment_settings import FIELD, SegmentSettings, read_settings
from shared.srgb import linear_to_srgb
from shared.strokes import smudge_of

LEAST_PX = 16


def run(params: PaintParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """A painting, its strokes and its relief, see the ports of shared.catalog.paint."""
    renderer = _renderer(params, inputs, job)
    if inputs["strokes"] is not None:
        return _again(params, inputs, job)
    job.step(0, 1000, "reading the picture")
    scene = _scene(params, inputs, job.device)
    settings = _segment_settings(params, scene)

    def progress(share: float, stage: str, image: Any) -> bool:
        job.step(int(950 * share), 1000, stage)
        job.preview(painting=lambda: output.linear(image()))
        return not job.finish_early

    blended = None
    if params.method == "patches":
        manners = patch_scheme.manners(scene.segments, settings)
        strokes, blended = patch_scheme.paint(scene, params.steps, job.generator, progress, renderer, manners)
    else:
        made = groups(scene, _plan(params), settings)
        strokes = whole_canvas.paint(scene, made, _settings(params), job.generator, progress)
    job.step(960, 1000, "drawing the painting")
    strokes = output.varied(strokes, scene.picture, params.color_variation, job.generator)
    return output.arrays(output.numbered(strokes, scene.segments), scene.canvas, _finish(params), blended)


def _renderer(params: PaintParams, inputs: Mapping[str, Any], job: JobContext) -> Renderer:
    """What draws the strokes of the published scheme. Raises InvalidParameter where it would draw none, InvalidInput for a file
    that holds no network for it."""
    if not params.model:
        return AnalyticRenderer()
    if params.method != "patches" or inputs["strokes"] is not None:
        raise InvalidParameter(
            "A trained renderer draws strokes only where an image is painted in patches.",
            hint="Leave it out, or choose Method: Patches and give an image.",
            field="model",
        )
    job.step(0, 1000, "reading the model")
    tensors, about = job.trained(params.model)
    try:
        return load(tensors, about, job.device)
    except UnknownModel as error:
        raise InvalidInput(
            f"{params.model} cannot be used: {error}.",
            hint="Name the weights.safetensors of a training of a renderer (train stroke-renderer).",
            field="model",
        ) from error


def _again(params: PaintParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """Saved strokes, painted at `scale`."""
    saved = inputs["strokes"]
    if inputs["segments"] is not None:
        raise InvalidInput(
            "Saved strokes are painted as they are; segments would not be read.",
            hint="Leave out the segments, or give an image in place of the strokes.",
            field="segments",
        )
    saved_smudge = smudge_of(saved.attributes)
    job.step(0, 1000, "reading the strokes")
    shape = tuple(int(saved.attributes[f"canvas_{side}_px"]) for side in ("height", "width"))
    strokes = from_columns(as_tensor(saved.values, job.device), (shape[0], shape[1]))
    canvas = _canvas(params, inputs["canvas"], (shape[0], shape[1]), saved, job.device)
    job.step(100, 1000, "drawing the painting")
    return output.arrays(strokes, canvas, replace(_finish(params), smudge=params.smudge or saved_smudge))


def _plan(params: PaintParams) -> Plan:
    return Plan(params.budget, params.layers, (params.largest / 100, params.smallest / 100), params.detail)


def _segment_settings(params: PaintParams, scene: Scene) -> dict[str, SegmentSettings]:
    if params.segment_settings.strip() and scene.segments.count == 1:
        raise InvalidParameter(
            "There are settings of segments, and the picture has none.",
            hint="Give segments or Regions, or leave the settings out.",
            field=FIELD,
        )
    return read_settings(params.segment_settings, scene.segments.numbers, scene.segments.names)


def _settings(params: PaintParams) -> whole_canvas.Settings:
    varies = params.opacity == "varying"
    return whole_canvas.Settings(
        params.steps, params.length, params.bend, params.flow, params.detail, varies, params.two_colors
    )


def _finish(params: PaintParams) -> output.Finish:
    return output.Finish(output.brush(params.bristles, params.seed), params.scale, params.impasto / 100, params.smudge)


def _scene(params: PaintParams, inputs: Mapping[str, Any], device: torch.device) -> Scene:
    picture = _encoded(inputs["image"], device)
    height, width = picture.shape[:2]
    if min(height, width) < LEAST_PX:
        raise InvalidInput(
            f"The image is {width} x {height} pixels; at least {LEAST_PX} on each side are needed.",
            hint="Give a larger image.",
            field="image",
        )
    canvas = _canvas(params, inputs["canvas"], (height, width), picture, device)
    return Scene(picture, canvas, _segments(params, inputs, (height, width), device))


def _segments(params: PaintParams, inputs: Mapping[str, Any], shape: tuple[int, int], device: torch.device) -> Segments:
    """Those that are given, those that are found, or the whole picture as one."""
    classes = inputs["segments"]
    if classes is None:
        found = min(params.regions, params.budget)
        return Segments.of(regions(inputs["image"].values, found), device) if found > 1 else Segments.one(shape, device)
    if classes.values.shape != shape:
        raise InvalidInput(
            f"The segments are {_size(classes.values.shape)} pixels and the image is {_size(shape)}.",
            hint="Draw the segments at the image's size.",
            field="segments",
        )
    segments = Segments.of(classes.values, device, classes.attributes.get("names", ()))
    if segments.count > params.budget:
        raise InvalidInput(
            f"There are {segments.count} segments and {params.budget} strokes; each segment needs one.",
            hint="Raise Strokes, or merge small segments.",
            field="segments",
        )
    return segments


def _canvas(
    params: PaintParams, given: Array | None, shape: tuple[int, int], picture: Tensor | Array, device: torch.device
) -> Tensor:
    """What is painted on [H, W, 3], encoded. picture: what is painted, or saved strokes, which know their canvas."""
    if given is not None:
        if given.values.shape[:2] != shape:
            raise InvalidInput(
                f"The canvas is {_size(given.values.shape)} pixels and the picture is {_size(shape)}.",
                hint="Give a canvas of the picture's size.",
                field="canvas",
            )
        return _encoded(given, device)
    if params.canvas_color != "average":
        color = np.full(3, 1.0 if params.canvas_color == "white" else 0.0)
    elif isinstance(picture, Array):
        color = np.array(picture.attributes.get("canvas_color", (0.0, 0.0, 0.0)))
    else:
        color = picture.cpu().numpy().mean((0, 1), dtype=np.float64)
    return torch.from_numpy(color.astype(np.float32)).to(device).expand(*shape, 3).contiguous()


def _encoded(image: Array, device: torch.device) -> Tensor:
    """sRGB-encoded values 0..1 of a linear image; brighter than white is white."""
    linear = np.clip(np.asarray(image.values, np.float32), 0.0, 1.0)
    return as_tensor(linear_to_srgb(linear).astype(np.float32), device)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
