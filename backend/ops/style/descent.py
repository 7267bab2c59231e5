"""Ways down a style objective: Adam on heights, plain gradient descent as published, Adam on a network that
draws the map.

Each takes the map it starts from and a Descent, and returns the map it ends with. This module knows no loss, no
pyramid, no job.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.models.deep_image_prior import Hourglass
from backend.ops.adam import Adam
from backend.ops.moments import mean, variance
from backend.runtime.threads import torch_threads

log = logging.getLogger(__name__)
PRIOR_RATE = 1 / 30  # Adam's step on a network's weights at learning rate 1: the paper's 0.01 at our default of 0.3
FIRST_STEP = (1 / 16 / 255, 16 / 255)  # bounds on the first step of gradient descent, root mean square, of the relief
GROWTH_LIMIT = 4.0  # gradient descent goes back to its best map when the loss is this many times the lowest


@dataclass(frozen=True, kw_only=True)
class Descent:
    """evaluate: map -> (loss, gradient). rate: step -> learning rate. look: called after every step; True ends the
    descent there."""

    evaluate: Callable[[Tensor], tuple[float, Tensor]]
    steps: int
    rate: Callable[[int], float]
    look: Callable[[int, Tensor], bool]


def descend_adam(relief: Tensor, descent: Descent) -> Tensor:
    """Adam on the heights themselves. relief: [1, 1, H, W]."""
    values = relief.clone().requires_grad_()
    return _adam([values], lambda: values, descent)


def descend_plain(relief: Tensor, descent: Descent) -> Tensor:
    """Plain gradient descent, as published; returns the map of the lowest loss. relief: [1, 1, H, W], exemplars
    span 0..1.

    The published rate belongs to Oxford's weights. With others the first step is brought within FIRST_STEP, and
    a loss that runs away halves the rate and goes back: both are logged, and neither happens where the
    published rate fits.
    """
    values = best = relief
    lowest, trust = math.inf, 0.0
    for step in range(descent.steps):
        if descent.look(step, values):
            break
        loss, gradient = descent.evaluate(values)
        if step == 0:
            trust = _trust(gradient, descent.rate(0))
        if loss < lowest:
            best, lowest = values, loss
        elif not loss < GROWTH_LIMIT * lowest:
            trust /= 2
            values = best
            log.info("loss %.3g after %.3g at step %d: rate halved", loss, lowest, step)
            continue
        values = values - gradient * (descent.rate(step) * trust)
    return values if descent.evaluate(values)[0] < lowest else best


def _trust(gradient: Tensor, rate: float) -> float:
    """Factor on the rate that brings the first step within FIRST_STEP; 1 where it is, and where there is no
    gradient."""
    first = math.sqrt(mean(gradient.square())) * rate
    if not first > 0 or not math.isfinite(first):
        return 1.0
    wanted = min(max(first, FIRST_STEP[0]), FIRST_STEP[1])
    if wanted != first:
        log.info("first step %.3g of the relief, brought to %.3g", first, wanted)
    return wanted / first


def descend_prior(relief: Tensor, descent: Descent, generator: torch.Generator) -> Tensor:
    """Adam on the weights of a network that draws the map: first to draw `relief`, then as many steps on the
    objective.

    Deep image prior (Ulyanov et al. 2018). generator draws the network and its input. Sides of at least 16 px.
    """
    centre, deviation = mean(relief), max(math.sqrt(variance(relief)), 1e-3)
    depth = min(4, int(math.log2(min(relief.shape[2:]))) - 2)
    network = Hourglass(relief.shape[2], relief.shape[3], generator=generator, depth=depth).to(relief.device)

    def draw() -> Tensor:
        return network() * deviation + centre

    def to_layout(values: Tensor) -> tuple[float, Tensor]:
        difference = values - relief
        return float(difference.square().mean()), 2.0 * difference / difference.numel()

    def in_half(half: int) -> Callable[[int, Tensor], bool]:
        return lambda step, values: descent.look((half * descent.steps + step) // 2, values)

    start = replace(descent, evaluate=to_layout, rate=lambda step: descent.rate(0) * PRIOR_RATE, look=in_half(0))
    finish = replace(descent, rate=lambda step: descent.rate(step) * PRIOR_RATE, look=in_half(1))
    weights = list(network.parameters())
    # the gradient of a weight is a sum over the map, which PyTorch cuts up by threads: one thread gives everybody the same bytes
    with torch_threads(1):
        _adam(weights, draw, start)
        return _adam(weights, draw, finish)


def _adam(variables: Sequence[Tensor], draw: Callable[[], Tensor], descent: Descent) -> Tensor:
    """Adam (Kingma & Ba 2015) on whatever draw() makes the map of."""
    optimiser = Adam(variables)
    for step in range(descent.steps):
        values = draw()
        if descent.look(step, values.detach()):
            break
        _, gradient = descent.evaluate(values.detach())
        slopes = torch.autograd.grad(values, variables, gradient)
        optimiser.step(variables, [-slope for slope in slopes], descent.rate(step))
    with torch.no_grad():
        return draw().detach().clone()
