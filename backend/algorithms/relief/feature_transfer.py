"""Relief transfer by feature statistics: the losses of 2024, on a random filter bank or VGG-19, from coarse to
fine.

morphology.py calls transfer() for every method but the sliced Wasserstein distance. The presets "merizzi-2024"
and "merizzi-2024-pytorch" are the two programs of Merizzi 2024 (arXiv 2403.08782), with these faults of theirs
mended:

- Caffe preprocessing (BGR, 0..255) fed torchvision's weights in the PyTorch program: heights become three equal
  channels in 0..1 with torchvision's own mean and deviation, and features are scaled to what the published
  weights expect.
- The PyTorch program stepped its 100-step scheduler only every 100 steps, so the rate never fell: it falls
  continuously.
- --lr was parsed and not used, and weights, layers, size and optimiser could not be set: they are parameters.
- Its histogram loss stopped at the first step, having no derivative, and each map chose its own bins:
  losses.py.
- Content and style features were computed again at every step, three maps through the network for one: once.
- Weights meant another balance at every size: gradients a pixel are those of the published size
  (style_losses.balance).
- Output was RGB of 8 bits with a coloured, noisy frame: one channel of float32 metres, and no frame.
- Short runs were never written, and a failure ended as success: the result is returned, or an error raised.

Large maps: the levels up to `feature_size` are optimised, in tiles with the exact gradient of the whole
(objective.py); finer octaves are the input's own detail, scaled to the exemplars' strength.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.models.vgg19 import Vgg19
from backend.ops import resampling
from backend.ops.moments import mean, variance
from backend.ops.style.descent import Descent, descend_adam, descend_plain, descend_prior
from backend.ops.style.features import VGG_CONTENT, ConvolutionBank, Extractor, VggFeatures, scales_for
from backend.ops.style.losses import Formula, formula, learning_rate, style_loss
from backend.ops.style.objective import Objective
from shared.errors import InvalidInput, InvalidParameter

if TYPE_CHECKING:
    from backend.runtime.context import JobContext
    from shared.catalog.morphology import MorphologyParams

SMALLEST_PX = 32  # of a map or an exemplar at any level; VGG's fifth block sees 2 x 2 of it
PRIOR_MOST_PX = 512  # a deep image prior keeps a whole network's activations; finer levels optimise heights
FRAME_PX = 24  # optimised beyond the border at every level and cut off: features near a border have less to go by
SEED_DETAIL = 0.25  # part of the layout's own detail in a level before it is optimised; more stays visible as noise


@dataclass(frozen=True)
class Level:
    height: int
    width: int
    factor: float  # pixels of the whole map to one of this level


def transfer(
    params: MorphologyParams,
    height: Tensor,
    exemplars: Sequence[Tensor],
    class_weights: Tensor | None,
    job: JobContext,
    *,
    shown: Callable[[Tensor], Tensor] = lambda height: height,
) -> Tensor:
    """Give `height` the landforms of the exemplars.

    height: [1, 1, H, W] m, on job.device. exemplars: [1, 1, h, w] m each, at the same pixel size, sides >= 32
    px. class_weights: [1, E, H, W], each exemplar's part of each pixel, or None to pool the exemplars. shown: from
    such a map to the one that a preview shows. Returns [1, 1, H, W] float32 m, of the exemplars' mean and relief. Raises
    InvalidInput, InvalidParameter, JobCancelled.
    """
    rule, loss = formula(params.formula), style_loss(params.method)
    if loss.name not in rule.losses:
        raise InvalidParameter(
            f"The formula {rule.name!r} has no {loss.name!r} loss.",
            hint=f'It has {", ".join(rule.losses)}; "relative" has all.',
            field="method",
        )
    low, span = _span(height, exemplars)
    scaled = [(exemplar.float() - low) / span for exemplar in exemplars]
    layout = _match(height.float(), scaled)
    levels = pyramid(height.shape[2], height.shape[3], scaled, params.coarsest_size, params.feature_size)
    make_extractor = _extractor_source(params, job)
    progress = Progress(job, levels, params.feature_iterations)
    relief: Tensor | None = None
    before: Level | None = None

    def in_metres(values: Tensor) -> Tensor:
        return shown(resize(unframed(values), height.shape[2], height.shape[3]) * span + low)

    for level in levels:
        targets = [resize(exemplar, *_scaled_size(exemplar, level)) for exemplar in scaled]
        content = resize(layout, level.height, level.width)
        relief = (
            content
            if relief is None or before is None
            else _refine(relief, content, targets, before, level, SEED_DETAIL)
        )
        regions = (
            None if class_weights is None else resize(class_weights.float(), level.height, level.width).clamp(0, 1)
        )
        extractor = make_extractor(min((relief, *targets), key=lambda values: min(values.shape[2:])))
        objective = Objective(
            extractor,
            loss,
            rule,
            targets,
            framed(content),
            None if regions is None else framed(regions),
            style=params.style_weight,
            content_weight=params.content_weight,
            variation=params.total_variation_weight,
            between=progress.alive,
        )
        relief = unframed(
            _optimise(params, framed(relief), objective, rule, progress, level, roughness(targets), in_metres)
        )
        before = level
        if job.finish_early:
            break
    assert relief is not None, "a pyramid has at least one level"
    assert before is not None
    whole = Level(height.shape[2], height.shape[3], 1.0)
    return _refine(relief, layout, scaled, before, whole) * span + low


class Progress:
    """Steps of all levels as one count, a level's steps weighing as many as it has pixels."""

    def __init__(self, job: JobContext, levels: Sequence[Level], iterations: int) -> None:
        self.job, self.levels, self.iterations = job, levels, iterations
        self.costs = [max(1, level.height * level.width // 1024) for level in levels]
        self.total = sum(self.costs) * iterations
        self.done, self.stage = 0, "measuring the exemplars"

    def advance(self, level: Level, step: int) -> None:
        index = self.levels.index(level)
        self.done = sum(self.costs[:index]) * self.iterations + self.costs[index] * step
        self.stage = f"level {index + 1} of {len(self.levels)}, {level.width} x {level.height}"
        self.alive()

    def alive(self) -> None:
        self.job.step(self.done, self.total, self.stage)


def pyramid(height: int, width: int, exemplars: Sequence[Tensor], coarsest: int, finest: int) -> list[Level]:
    """Levels from coarse to fine, halving the longest side from min(finest, the map's) down to `coarsest`.

    No level makes the map or an exemplar smaller than 32 px; the finest level is always there.
    """
    longest, shortest = max(height, width), min(height, width, *(min(exemplar.shape[2:]) for exemplar in exemplars))
    if shortest < SMALLEST_PX:
        raise InvalidInput(
            f"Maps and exemplars must be at least {SMALLEST_PX} px to each side; the smallest side is {shortest}.",
            field="exemplar",
        )
    factor = max(1.0, longest / finest)
    factor = min(factor, shortest / SMALLEST_PX)
    factors = [factor]
    while longest / factors[-1] > coarsest * math.sqrt(2) and shortest / (2 * factors[-1]) >= SMALLEST_PX:
        factors.append(2 * factors[-1])
    return [
        Level(max(1, round(height / factor)), max(1, round(width / factor)), factor) for factor in reversed(factors)
    ]


def resize(values: Tensor, height: int, width: int) -> Tensor:
    """Bicubic, low-passed where it shrinks. [B, C, H, W] -> [B, C, height, width]."""
    return resampling.resize(values, (height, width))


def roughness(maps: Sequence[Tensor]) -> float:
    """Root mean square difference of neighbouring cells, over all maps alike."""
    squares = [mean(values.diff(dim=axis).square()) for values in maps for axis in (2, 3)]
    return math.sqrt(sum(squares) / len(squares))


def framed(values: Tensor) -> Tensor:
    """Mirrored beyond its border by FRAME_PX, which every level has."""
    return F.pad(values, (FRAME_PX,) * 4, mode="reflect")


def unframed(values: Tensor) -> Tensor:
    return values[..., FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]


def _scaled_size(exemplar: Tensor, level: Level) -> tuple[int, int]:
    return max(SMALLEST_PX, round(exemplar.shape[2] / level.factor)), max(
        SMALLEST_PX, round(exemplar.shape[3] / level.factor)
    )


def _span(height: Tensor, exemplars: Sequence[Tensor]) -> tuple[float, float]:
    """Lowest height of the exemplars and their range, in metres."""
    if not exemplars:
        raise InvalidInput("Relief transfer needs at least one exemplar.", field="exemplar")
    for values, field in ((height, "height"), *((exemplar, "exemplar") for exemplar in exemplars)):
        if not bool(torch.isfinite(values).all()):
            raise InvalidInput(f"The {field} map has cells without a finite height.", field=field)
    low = min(float(exemplar.min()) for exemplar in exemplars)
    span = max(float(exemplar.max()) for exemplar in exemplars) - low
    if span <= 0:
        raise InvalidInput("The exemplars are flat: they have no relief to transfer.", field="exemplar")
    return low, span


def _match(height: Tensor, exemplars: Sequence[Tensor]) -> Tensor:
    """The layout at the exemplars' mean and standard deviation, in their scaled units. A flat layout stays
    flat."""
    centre = sum(mean(exemplar) for exemplar in exemplars) / len(exemplars)
    deviation = math.sqrt(sum(variance(exemplar) for exemplar in exemplars) / len(exemplars))
    own = math.sqrt(variance(height))
    return (height - mean(height)) * (deviation / own if own > 0 else 0.0) + centre


def _refine(
    relief: Tensor, layout: Tensor, exemplars: Sequence[Tensor], before: Level, level: Level, part: float = 1.0
) -> Tensor:
    """Take a coarser result to this level: its forms, and the layout's own detail at the strength of the
    exemplars'.

    relief: at level `before`; layout, exemplars: at this level. part: of the exemplars' strength.
    """
    if (before.height, before.width) == (level.height, level.width):
        return relief

    def detail(values: Tensor) -> Tensor:
        size = [max(2, round(side * level.factor / before.factor)) for side in values.shape[2:]]
        return values - resize(resize(values, size[0], size[1]), values.shape[2], values.shape[3])

    added = detail(layout)
    wanted = math.sqrt(sum(mean(detail(exemplar).square()) for exemplar in exemplars) / len(exemplars))
    strength = math.sqrt(mean(added.square()))
    return resize(relief, level.height, level.width) + added * (part * wanted / strength if strength > 0 else 0.0)


def _extractor_source(params: MorphologyParams, job: JobContext) -> Callable[[Tensor], Extractor]:
    """A function from the smallest map of a level to the extractor that it carries."""
    if params.features == "convolution-bank":
        return lambda smallest: ConvolutionBank(scales_for(*smallest.shape[2:]), job.device)
    network = Vgg19(VGG_CONTENT, padding="replicate")
    network.load_torchvision(job.weights("vgg19", fetch=params.download_weights))
    extractor = VggFeatures(network, job.device)
    return lambda smallest: extractor


def _optimise(
    params: MorphologyParams,
    relief: Tensor,
    objective: Objective,
    rule: Formula,
    progress: Progress,
    level: Level,
    unit: float,
    to_metres: Callable[[Tensor], Tensor],
) -> Tensor:
    """params.feature_iterations steps down the objective from `relief`; the last map, or the best of plain
    descent.

    unit: Adam's step on heights at learning rate 1. Steps that suit a mountain would bury the finest octave in
    speckle.
    """
    job = progress.job

    def rate(step: int) -> float:
        return learning_rate(
            step, params.feature_learning_rate, params.learning_rate_decay, params.learning_rate_interval
        )

    def look(step: int, values: Tensor) -> bool:
        progress.advance(level, step)
        job.preview(height=lambda: to_metres(values))
        return job.finish_early

    descent = Descent(evaluate=objective.value_and_gradient, steps=params.feature_iterations, rate=rate, look=look)
    if params.parametrisation == "deep-image-prior" and max(level.height, level.width) <= PRIOR_MOST_PX:
        return descend_prior(relief, descent, job.generator)
    if params.optimiser == "sgd":
        return descend_plain(relief, replace(descent, rate=lambda step: rate(step) / rule.image_scale**2))
    return descend_adam(relief, replace(descent, rate=lambda step: rate(step) * unit))
