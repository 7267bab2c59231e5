"""Relief transfer by feature statistics: the losses of 2024, on a random filter bank or VGG-19, from coarse to fine.

morphology.py calls transfer() for every loss but the sliced Wasserstein distance. The presets "merizzi-2024" and
"merizzi-2024-pytorch" are the two programs of Merizzi 2024 (arXiv 2403.08782, "Deep learning for procedural terrain"), with these
faults of theirs mended:

- Caffe preprocessing (BGR, 0..255) fed torchvision's weights in the PyTorch program: heights become three equal channels in 0..1
  with torchvision's own mean and deviation, and features are scaled to the magnitude that the published weights expect.
- The PyTorch program stepped its scheduler only every 100 of 100 steps, so the rate never fell: it falls continuously.
- --lr was parsed and not used, and weights, layers, size and optimiser could not be set: all are parameters.
- Its histogram loss stopped at the first step, having no derivative, and each map chose its own bins: see style_losses.py.
- Content and style features were computed anew at every step, three maps through the network for one: once.
- Weights meant another balance at every size: gradients a pixel are those of the published size (style_losses.balance).
- Output was RGB of 8 bits with a coloured, noisy frame: one channel of float32 metres, borders replicated.
- A result smaller than 200 steps was never written, and a failure ended as success: the result is returned, or an error raised.

Large maps: the levels up to `feature_size` are optimised, in tiles with the exact gradient of the whole (style_objective.py);
finer octaves are the input's own detail, scaled to the exemplars' strength.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend import weights
from backend.models.deep_image_prior import Hourglass
from backend.models.vgg19 import Vgg19
from backend.ops.features import VGG_CONTENT, ConvolutionBank, Extractor, VggFeatures, scales_for
from backend.ops.style_losses import Formula, formula, learning_rate, style_loss
from backend.ops.style_objective import Objective
from shared.errors import InvalidInput, InvalidParameter

if TYPE_CHECKING:
    from backend.context import JobContext
    from shared.catalog.morphology import MorphologyParams

log = logging.getLogger(__name__)
SMALLEST_PX = 32  # of a map or an exemplar at any level; VGG's fifth block sees 2 x 2 of it
PRIOR_MOST_PX = 512  # a deep image prior keeps its whole network's activations for one map; finer levels optimise heights
FRAME_PX = 24  # optimised beyond the map's border at every level, and cut off: features near a border have less to go by
SEED_DETAIL = 0.25  # of the layout's own detail goes into a level before it is optimised; more stays visible as noise
FIRST_STEP = (1 / 16 / 255, 16 / 255)  # bounds on the first step of gradient descent, root mean square, of the relief
GROWTH_LIMIT = 4.0  # gradient descent goes back to its best map and halves its rate when the loss is this many times the best


@dataclass(frozen=True)
class Level:
    height: int
    width: int
    factor: float  # pixels of the whole map to one of this level


def transfer(params: MorphologyParams, height: Tensor, exemplars: Sequence[Tensor], class_weights: Tensor | None,
             job: JobContext) -> Tensor:
    """Give `height` the landforms of the exemplars.

    height: [1, 1, H, W] m, on job.device. exemplars: [1, 1, h, w] m each, at the same pixel size, sides >= 32 px. class_weights:
    [1, E, H, W], each exemplar's part of each pixel, or None to pool the exemplars. Returns [1, 1, H, W] float32 m, of the
    exemplars' mean and relief. Raises InvalidInput, InvalidParameter, JobCancelled.
    """
    rule, loss = formula(params.formula), style_loss(params.method)
    if loss.name not in rule.losses:
        raise InvalidParameter(f"The formula {rule.name!r} has no {loss.name!r} loss.",
                               hint=f"It has {', '.join(rule.losses)}; \"relative\" has all.", field="method")
    low, span = _span(height, exemplars)
    scaled = [(exemplar.float() - low) / span for exemplar in exemplars]
    layout = _match(height.float(), scaled)
    levels = pyramid(height.shape[2], height.shape[3], scaled, params.coarsest_size, params.feature_size)
    make_extractor = _extractor_source(params, job)
    progress = Progress(job, levels, params.feature_iterations)
    relief: Tensor | None = None
    before: Level | None = None

    def in_metres(values: Tensor) -> Tensor:
        return resize(unframed(values), height.shape[2], height.shape[3]) * span + low

    for level in levels:
        targets = [resize(exemplar, *_scaled_size(exemplar, level)) for exemplar in scaled]
        content = resize(layout, level.height, level.width)
        relief = content if relief is None or before is None else _refine(relief, content, targets, before, level, SEED_DETAIL)
        regions = None if class_weights is None else resize(class_weights.float(), level.height, level.width).clamp(0, 1)
        extractor = make_extractor(min((relief, *targets), key=lambda values: min(values.shape[2:])))
        objective = Objective(
            extractor, loss, rule, targets, framed(content), None if regions is None else framed(regions), style=params.style_weight,
            content_weight=params.content_weight, variation=params.total_variation_weight, between=progress.alive)
        relief = unframed(_optimise(params, framed(relief), objective, rule, progress, level, in_metres))
        before = level
        if job.finish_early:
            break
    assert relief is not None and before is not None, "a pyramid has at least one level"
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
        raise InvalidInput(f"Maps and exemplars must be at least {SMALLEST_PX} px to each side; the smallest side is {shortest}.",
                           field="exemplar")
    factor = max(1.0, longest / finest)
    factor = min(factor, shortest / SMALLEST_PX)
    factors = [factor]
    while longest / factors[-1] > coarsest * math.sqrt(2) and shortest / (2 * factors[-1]) >= SMALLEST_PX:
        factors.append(2 * factors[-1])
    return [Level(max(1, round(height / factor)), max(1, round(width / factor)), factor) for factor in reversed(factors)]


def resize(values: Tensor, height: int, width: int) -> Tensor:
    """Bicubic, low-passed where it shrinks. [B, C, H, W] -> [B, C, height, width]."""
    if values.shape[2:] == (height, width):
        return values
    shrinks = height < values.shape[2] or width < values.shape[3]
    return F.interpolate(values, size=(height, width), mode="bicubic", align_corners=False, antialias=shrinks)


def framed(values: Tensor) -> Tensor:
    """Mirrored beyond its border by FRAME_PX, which every level has."""
    return F.pad(values, (FRAME_PX,) * 4, mode="reflect")


def unframed(values: Tensor) -> Tensor:
    return values[..., FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]


def _scaled_size(exemplar: Tensor, level: Level) -> tuple[int, int]:
    return max(SMALLEST_PX, round(exemplar.shape[2] / level.factor)), max(SMALLEST_PX, round(exemplar.shape[3] / level.factor))


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
        raise InvalidInput("The exemplars are flat: there is no relief to transfer.", field="exemplar")
    return low, span


def _match(height: Tensor, exemplars: Sequence[Tensor]) -> Tensor:
    """The layout at the exemplars' mean and standard deviation, in their scaled units. A flat layout stays flat."""
    mean = sum(_mean(exemplar) for exemplar in exemplars) / len(exemplars)
    deviation = math.sqrt(sum(_variance(exemplar) for exemplar in exemplars) / len(exemplars))
    own = math.sqrt(_variance(height))
    return (height - _mean(height)) * (deviation / own if own > 0 else 0.0) + mean


def _mean(values: Tensor) -> float:
    """By NumPy on one thread: PyTorch cuts a sum over everything up differently for another number of threads."""
    return float(values.detach().cpu().numpy().mean(dtype=np.float64))


def _variance(values: Tensor) -> float:
    return float(values.detach().cpu().numpy().var(dtype=np.float64))


def _refine(relief: Tensor, layout: Tensor, exemplars: Sequence[Tensor], before: Level, level: Level,
            part: float = 1.0) -> Tensor:
    """Take a coarser result to this level: its forms, and the layout's own detail at the strength of the exemplars'.

    relief: at level `before`; layout, exemplars: at this level. part: of the exemplars' strength.
    """
    if (before.height, before.width) == (level.height, level.width):
        return relief
    def detail(values: Tensor) -> Tensor:
        size = [max(2, round(side * level.factor / before.factor)) for side in values.shape[2:]]
        return values - resize(resize(values, size[0], size[1]), values.shape[2], values.shape[3])

    added = detail(layout)
    wanted = math.sqrt(sum(_mean(detail(exemplar).square()) for exemplar in exemplars) / len(exemplars))
    strength = math.sqrt(_mean(added.square()))
    return resize(relief, level.height, level.width) + added * (part * wanted / strength if strength > 0 else 0.0)


def _extractor_source(params: MorphologyParams, job: JobContext) -> Callable[[Tensor], Extractor]:
    """A function from the smallest map of a level to the extractor that it carries."""
    if params.features == "convolution-bank":
        return lambda smallest: ConvolutionBank(scales_for(*smallest.shape[2:]), job.device)
    if params.download_weights and weights.find(weights.VGG19) is None:
        weights.download(weights.VGG19, lambda there, total: job.step(there >> 20, total >> 20, "fetching the VGG-19 weights"))
    network = Vgg19(VGG_CONTENT, padding="replicate")
    network.load_torchvision(weights.load(weights.VGG19))
    extractor = VggFeatures(network, job.device)
    return lambda smallest: extractor


def _optimise(params: MorphologyParams, relief: Tensor, objective: Objective, rule: Formula, progress: Progress, level: Level,
              to_metres: Callable[[Tensor], Tensor]) -> Tensor:
    """params.feature_iterations steps down the objective from `relief`; returns the last map, or the best of plain descent."""
    job, steps = progress.job, params.feature_iterations

    def rate(step: int) -> float:
        return learning_rate(step, params.feature_learning_rate, params.learning_rate_decay, params.learning_rate_interval)

    def look(step: int, values: Tensor) -> None:
        progress.advance(level, step)
        job.preview("height", lambda: to_metres(values))

    if params.parametrisation == "deep-image-prior" and max(level.height, level.width) <= PRIOR_MOST_PX:
        return _descend_prior(relief, objective, steps, rate, look, job)
    if params.optimiser == "sgd":
        return _descend(relief, objective, steps, lambda step: rate(step) / rule.image_scale**2, look, job)
    values = relief.clone().requires_grad_()
    return _adam([values], lambda: values, objective.value_and_gradient, steps, rate, look, job)


def _adam(variables: Sequence[Tensor], draw: Callable[[], Tensor], evaluate: Callable[[Tensor], tuple[float, Tensor]], steps: int,
          rate: Callable[[int], float], look: Callable[[int, Tensor], None], job: JobContext) -> Tensor:
    """Adam (Kingma & Ba 2015) on whatever draw() makes the map of."""
    optimiser = torch.optim.Adam(list(variables), lr=rate(0))
    for step in range(steps):
        values = draw()
        look(step, values)
        if job.finish_early:
            break
        _, gradient = evaluate(values.detach())
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.zero_grad()
        values.backward(gradient)
        optimiser.step()
    with torch.no_grad():
        return draw().detach().clone()


def _descend(relief: Tensor, objective: Objective, steps: int, rate: Callable[[int], float], look: Callable[[int, Tensor], None],
             job: JobContext) -> Tensor:
    """Plain gradient descent, as published; returns the map of the lowest loss.

    The published rate belongs to Oxford's weights. With others the first step is brought within FIRST_STEP, and a loss that
    runs away halves the rate and goes back: both are logged, and neither happens where the published rate fits.
    """
    values = best = relief
    lowest, trust = math.inf, 0.0
    for step in range(steps):
        look(step, values)
        if job.finish_early:
            break
        loss, gradient = objective.value_and_gradient(values)
        if step == 0:
            trust = _trust(gradient, rate(0))
        if loss < lowest:
            best, lowest = values, loss
        elif not loss < GROWTH_LIMIT * lowest:
            trust /= 2
            values = best
            log.info("loss %.3g after %.3g at step %d: rate halved", loss, lowest, step)
            continue
        values = values - gradient * (rate(step) * trust)
    loss, _ = objective.value_and_gradient(values)
    return values if loss < lowest else best


def _trust(gradient: Tensor, rate: float) -> float:
    """Factor on the rate that brings the first step within FIRST_STEP; 1 where it is, and where there is no gradient."""
    first = math.sqrt(_mean(gradient.square())) * rate
    if not first > 0 or not math.isfinite(first):
        return 1.0
    wanted = min(max(first, FIRST_STEP[0]), FIRST_STEP[1])
    if wanted != first:
        log.info("first step %.3g of the relief, brought to %.3g", first, wanted)
    return wanted / first


def _descend_prior(relief: Tensor, objective: Objective, steps: int, rate: Callable[[int], float], look: Callable[[int, Tensor], None],
                   job: JobContext) -> Tensor:
    """Adam on the weights of a network that draws the map: a third of the steps to draw the layout, the rest on the objective."""
    mean, deviation = _mean(relief), max(math.sqrt(_variance(relief)), 1e-3)
    depth = min(4, int(math.log2(min(relief.shape[2:]))) - 2)
    network = Hourglass(relief.shape[2], relief.shape[3], generator=job.generator, depth=depth).to(relief.device)

    def draw() -> Tensor:
        return network() * deviation + mean

    def to_layout(values: Tensor) -> tuple[float, Tensor]:
        difference = values - relief
        return float(difference.square().mean()), 2.0 * difference / difference.numel()

    first = steps // 3
    with _one_thread():
        _adam(list(network.parameters()), draw, to_layout, first, lambda step: rate(0), look, job)
        return _adam(list(network.parameters()), draw, objective.value_and_gradient, steps - first, rate,
                     lambda step, values: look(first + step, values), job)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The gradient of a weight is a sum over the map, which PyTorch cuts up by threads: only one gives everybody the same bytes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
