"""Textures from samples: all maps of a material at once, of any size, tiling, one sample or several by a mask or classes.

Checks what it is given and puts the parts together: backend/algorithms/textures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from backend.algorithms.model_files import UnknownModel
from backend.algorithms.textures import layout, parts, relief, trained
from backend.algorithms.textures.channels import EVENING, Channels, Maps
from backend.algorithms.textures.decoding import Decoder, values_of
from backend.algorithms.textures.synthesis import Settings, synthesize
from backend.ops.patches.constants import PATCH
from backend.ops.resampling import resize
from backend.runtime.context import JobContext
from shared import texture_set
from shared.arrays import Array
from shared.catalog.texture import TextureParams
from shared.errors import InvalidInput, InvalidParameter
from shared.material_maps import COLORS

LEAST_PX = 2 * PATCH + 2


def run(params: TextureParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """The maps of a texture, see the port of shared.catalog.texture."""
    if params.model:
        return {"material": _trained(params, inputs, job)}
    job.step(0, 100, "reading the samples")
    samples = [_sample(array, number, params) for number, array in enumerate(inputs["exemplar"])]
    _check_same_maps(samples)
    canvas = _canvas(params)
    pieces = [_pieces(sample, number, params) for number, sample in enumerate(samples)]
    evening = EVENING if params.structure else 0.0  # long steps alone leave no coloured grain
    channels = Channels.of([piece for some in pieces for piece in some], evening)
    if not channels.count:
        raise InvalidInput(
            "The samples are of one colour throughout; there is no texture in them.",
            hint="Give a photograph of a surface, or a sample with more than one colour.",
            field="exemplar",
        )
    labels = _labels(params, inputs, len(samples), canvas, job).to(job.device)
    sources = [[channels.encode(piece).to(job.device) for piece in some] for some in pieces]
    if inputs["mask"] is None and inputs["classes"] is None:
        sources = [[piece for some in sources for piece in some]]  # all of them, anywhere

    def made(image: torch.Tensor) -> Array:
        maps = channels.decode(image[:, : canvas.kept[0], : canvas.kept[1]])
        return texture_set.stack(_with_normals(maps, _relief_of(samples[0]), params), repeats=params.tile)

    def observe(share: float, stage: str, image: Any) -> bool:
        job.step(int(1000 * share), 1000, stage)
        job.preview(material=lambda: made(image()))
        return not job.finish_early

    settings = Settings(
        steps=params.steps, structure=params.structure, straight_rows=params.straight_rows, wraps=canvas.wraps
    )
    limited = channels.limiter(job.device)
    image = synthesize(sources, labels, settings, job.generator, limited=limited, observe=observe)
    return {"material": made(image)}


def _trained(params: TextureParams, inputs: Mapping[str, Any], job: JobContext) -> Array:
    """The maps that a trained generator makes. Raises InvalidInput for a file that holds none, InvalidParameter for a size."""
    for port in ("mask", "classes"):
        if inputs[port] is not None:
            raise InvalidInput(
                f"A trained model takes no {port}.",
                hint="Use samples in place of the model, or leave it out.",
                field=port,
            )
    job.step(0, 100, "reading the model")
    tensors, about = job.trained(params.model)
    try:
        generator = trained.load(tensors, about, job.device)
    except UnknownModel as error:
        raise InvalidInput(
            f"{params.model} cannot be used: {error}.",
            hint="Name the weights.safetensors of a training of textures (train texture).",
            field="model",
        ) from error
    channels = generator.channels
    is_unwanted = not params.estimate and "height" in about.get("estimated", ())
    decoder = Decoder(channels, job.device, drop=("height",) if is_unwanted else ())
    period = _period(params, generator.stride)
    place = trained.Place(params.height, params.width, period, params.seed)
    whole = trained.generate(
        generator, place, decoder, job.threads, observe=lambda done, total: job.step(done, total, "making the texture")
    )
    maps = {name: whole[..., place] for name, place in decoder.slices().items()}
    if not params.estimate or "normal" in maps or "height" not in maps:
        return texture_set.of_layers(
            whole, {name: values.shape[2] for name, values in maps.items()}, repeats=params.tile
        )
    height = channels.names.index("height")
    at = sum(values_of(name) for name in channels.names[:height])
    span = float(channels.high[at] - channels.low[at])
    return texture_set.stack(_with_normals(maps, (span, generator.sample_px), params), repeats=params.tile)


def _period(params: TextureParams, stride: int) -> tuple[int, int]:
    """Rows and columns after which the texture repeats, 0 where it does not."""
    for side, name, axis in ((params.width, "width", "x"), (params.height, "height", "y")):
        if axis in params.tile and side % stride:
            near = max(stride, round(side / stride) * stride)
            raise InvalidParameter(
                f"{name} is {side}; with this model a side that tiles is a multiple of {stride} pixels.",
                hint=f"{near} is the nearest.",
                field=name,
            )
    return (params.height if "y" in params.tile else 0, params.width if "x" in params.tile else 0)


def _sample(array: Array, number: int, params: TextureParams) -> dict[str, np.ndarray]:
    """The sample's maps at their size in the texture, with an estimated height where it is wanted and missing."""
    maps = {name: np.ascontiguousarray(values, np.float32) for name, values in texture_set.split(array).items()}
    if params.scale != 1.0:
        rows, columns = (max(1, round(side * params.scale)) for side in array.values.shape[:2])
        maps = {
            name: resize(torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1))), (rows, columns))
            .permute(1, 2, 0)
            .numpy()
            for name, values in maps.items()
        }
    rows, columns = next(iter(maps.values())).shape[:2]
    if min(rows, columns) < LEAST_PX:
        raise InvalidInput(
            f"Sample {number + 1} is {columns} x {rows} pixels at this scale; at least {LEAST_PX} on each side are needed.",
            hint="Give a larger sample, or a larger Scale.",
            field="exemplar",
        )
    if params.estimate and "height" not in maps and "base_color" in maps:
        maps["height"] = relief.height_of(maps["base_color"])[..., None]
    return maps


def _check_same_maps(samples: Sequence[Maps]) -> None:
    for number, sample in enumerate(samples[1:], 2):
        if different := sorted(set(sample) ^ set(samples[0])):
            name = different[0].replace("_", " ")
            has, lacks = (number, 1) if different[0] in sample else (1, number)
            raise InvalidInput(
                f"Sample {has} has a {name} map and sample {lacks} has none.",
                hint="Give samples with the same maps, or only the colour of each.",
                field="exemplar",
            )


def _pieces(sample: Maps, number: int, params: TextureParams) -> list[dict[str, np.ndarray]]:
    """The parts of a sample that may be used; all of it unless it has transparent parts that are to be left out."""
    alpha = sample.get("alpha")
    if alpha is None or params.transparent == "keep":
        return [dict(sample)]
    rectangles = parts.opaque_rectangles(alpha[..., 0], LEAST_PX)
    if not rectangles:
        raise InvalidInput(
            f"Sample {number + 1} has no opaque part of {LEAST_PX} x {LEAST_PX} pixels.",
            hint="Crop it to its opaque part, or choose Transparent Parts: Keep.",
            field="exemplar",
        )
    return [{name: values[place] for name, values in sample.items() if name != "alpha"} for place in rectangles]


def _canvas(params: TextureParams) -> layout.Canvas:
    try:
        return layout.Canvas.of(params.height, params.width, params.tile)
    except ValueError as error:
        raise InvalidParameter(
            f"The texture is {params.width} x {params.height} pixels; a side that tiles has an even number.",
            hint="Make it one pixel larger.",
            field="width" if params.width % 2 and "x" in params.tile else "height",
        ) from error


def _labels(
    params: TextureParams, inputs: Mapping[str, Any], count: int, canvas: layout.Canvas, job: JobContext
) -> torch.Tensor:
    """Which sample lies where on the canvas, uint8 [H, W]."""
    mask, classes = inputs["mask"], inputs["classes"]
    if mask is None and classes is None:
        return torch.zeros(canvas.shape, dtype=torch.uint8)
    if mask is not None and classes is not None:
        raise InvalidInput(
            "Both a mask and classes say which sample lies where.", hint="Give one of them.", field="mask"
        )
    if mask is not None:
        if count != 2:
            raise InvalidInput(
                f"A mask divides the texture between two samples, and {'one is' if count == 1 else f'{count} are'} given.",
                hint="Give two samples, or use Classes for more.",
                field="mask",
            )
        shares = np.stack([1.0 - mask.values, mask.values])
    elif classes is None:
        return torch.zeros(canvas.shape, dtype=torch.uint8)
    else:
        highest = int(classes.values.max())
        if highest >= count:
            raise InvalidInput(
                f"The class map goes up to class {highest}, which needs {highest + 1} samples; {count} are given.",
                hint="Give one sample for each class, in the order of the classes.",
                field="classes",
            )
        shares = np.stack([classes.values == number for number in range(count)]).astype(np.float32)
    return layout.labels(shares, canvas, params.transition, job.generator)


def _relief_of(sample: Maps) -> tuple[float, int]:
    """From the lowest to the highest height of a sample, and its shorter side in pixels; nothing where it has no height."""
    known = sample.get("height")
    return (0.0, 0) if known is None else (float(known.max() - known.min()), min(known.shape[:2]))


def _with_normals(
    maps: dict[str, np.ndarray], relief_of: tuple[float, int], params: TextureParams
) -> dict[str, np.ndarray]:
    """The maps, with normals of the height where there are none. relief_of: of the sample, see _relief_of()."""
    if not params.estimate or "normal" in maps or "height" not in maps:
        return _ordered(maps)
    height = maps["height"][..., 0]
    span, side = relief_of
    depth_px = params.depth / 100.0 * side / max(span, 1e-9)
    wraps = ("y" in params.tile, "x" in params.tile)
    return _ordered({**maps, "normal": relief.normals_of(height, depth_px, wraps=wraps)})


def _ordered(maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Colours first, for what shows one map of a set shows its first."""
    return dict(sorted(maps.items(), key=lambda item: item[0] not in COLORS))
