"""The scheme of de Guevara et al. 2023, "Segmentation-Based Parametric Painting", on this project's renderer or a network's.

A picture is cut into patches of 128 pixels, each painted by itself with strokes of thirteen numbers from 0 to 1: first all patches
of a grid, then for each segment the windows that differ most, with a smaller brush from pass to pass. Its passes, budgets,
initialisation, steps and rate are theirs. What differs: the control point starts relative to the ends, as their renderer reads
it; pictures are continued at their edges and not resized; nothing is normalised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.algorithms.painting.patch_cover import PATCH, Cover, cut, laid_over
from backend.algorithms.painting.patch_renderers import Observe, Renderer
from backend.algorithms.painting.patch_windows import attended
from backend.algorithms.painting.scene import Scene
from backend.algorithms.painting.segments import Segments
from backend.algorithms.painting.stroke_lists import joined
from backend.ops.adam import Adam
from backend.ops.strokes.codec import Strokes, from_patch
from backend.ops.strokes.curves import coverage
from shared.errors import InvalidParameter
from shared.object_classes import depth, window_strokes
from shared.segment_settings import FIELD, SegmentSettings

BRUSHES = (0.8, 0.4, 0.2, 0.05)  # largest radius of each pass
UNIFORM = (9, 49, 64, 81)  # strokes per patch of each pass over the whole picture
MASKED = (9, 16, 16, 9)  # and where there are segments: all but the first pass in windows inside of them
SPREAD = (0.2, 0.1, 0.05)  # standard deviation of the ends about the stroke's place, the last one for all later passes
MASKED_SPREAD = 0.05
LEAST_RADIUS = 0.01
RATE = 0.004
INSIDE = 0.98
MOST_IN_WINDOW = 1000  # strokes
OWN_SETTINGS = ("strokes", "order")  # of segments, among those of shared.segment_settings
RADII, OPACITIES, COLORS = slice(6, 8), slice(8, 10), slice(10, 13)

Progress = Callable[[float, str, Callable[[], Tensor]], bool]  # share, stage and the painting; whether to go on


@dataclass(frozen=True)
class Group:
    """Patches that are painted together. corners [P, 2] in the padded picture; target, base [P, 128, 128, 3]; mask [P, 128, 128]
    or None; segment: its label, -1 for none."""

    corners: Tensor
    target: Tensor
    base: Tensor
    mask: Tensor | None
    segment: int


@dataclass(frozen=True)
class Manner:
    """How a segment is painted. label: its place in Segments.numbers. strokes: in a window, None for the pass's own number."""

    label: int
    strokes: int | None = None


WHOLE = Manner(-1)
"""Of the whole picture."""


def manners(segments: Segments, settings: Mapping[str, SegmentSettings]) -> list[Manner]:
    """The segments in painting order: by the order of their settings, then those with names from back to front, with the numbers of
    strokes that the scheme has for them. Raises InvalidParameter for settings that it does not have."""
    own = {number: entry for entry in settings.values() for number in entry.numbers}
    for key, entry in settings.items():
        for name in entry.named():
            if name not in OWN_SETTINGS:
                raise InvalidParameter(
                    f"The settings of segments cannot be used: {key!r} has {name}, which Patches has not.",
                    hint=f"Patches takes {' and '.join(OWN_SETTINGS)}.",
                    field=FIELD,
                )
        if (entry.strokes or 0) > MOST_IN_WINDOW:
            raise InvalidParameter(
                f"The settings of segments cannot be used: {key!r} has {entry.strokes} strokes; with Patches they are those of a"
                f" window, {MOST_IN_WINDOW} at most.",
                field=FIELD,
            )
    found = []
    for label, number in enumerate(segments.numbers):
        name = segments.names[number] if 0 <= number < len(segments.names) else ""
        entry = own.get(number, SegmentSettings())
        strokes = window_strokes(name) if entry.strokes is None else entry.strokes
        found.append(((entry.order, depth(name) if name else 0), Manner(label, strokes)))
    return [manner for _, manner in sorted(found, key=lambda one: one[0])]


def paint(
    scene: Scene,
    steps: int,
    generator: torch.Generator,
    progress: Progress,
    renderer: Renderer,
    manners: Sequence[Manner] = (),
) -> tuple[Strokes, Tensor]:
    """The strokes in painting order, and the picture [H, W, 3] that their patches make when one fades into the next.

    renderer: what draws them. manners: of the segments, in their order; in that of their numbers where there are none.
    """
    manners = manners or [Manner(label) for label in range(scene.segments.count)]
    cover = Cover.of((scene.picture.shape[0], scene.picture.shape[1]))
    picture, canvas = cover.padded(scene.picture), cover.padded(scene.canvas)
    labels = cover.padded(scene.segments.labels[..., None].float())[..., 0].long()
    masked = scene.segments.count > 1
    budgets = MASKED if masked else UNIFORM
    parts: list[Strokes] = []
    turns = [
        (level, manner)
        for level in range(len(BRUSHES))
        for manner in ([WHOLE] if level == 0 or not masked else manners)
    ]
    for turn, (level, manner) in enumerate(turns):
        segment = manner.label
        budget = budgets[level] if manner.strokes is None else manner.strokes
        goes_on = True
        so_far = cover.cropped(canvas)

        def report(share: float, turn: int = turn, level: int = level, so_far: Tensor = so_far) -> bool:
            nonlocal goes_on
            goes_on = progress((turn + share) / len(turns), f"painting pass {level + 1}", lambda: so_far)
            return goes_on

        group = _group(picture, canvas, labels, cover, level, segment, generator)
        if not len(group.corners) or not budget:
            continue
        begun = _started(group, budget, level, generator)
        numbers = _optimised(group, begun, BRUSHES[level], steps, renderer, report)
        kept = _kept(group, numbers)
        patches = _painted(numbers, kept, group, renderer)
        canvas = cover.padded(cover.composed(patches)) if segment < 0 else laid_over(canvas, patches, group.corners)
        parts.append(_placed(numbers, kept, group, level))
        if not goes_on:
            break
    return joined(parts), cover.cropped(canvas)


def _group(
    picture: Tensor, canvas: Tensor, labels: Tensor, cover: Cover, level: int, segment: int, generator: torch.Generator
) -> Group:
    corners = cover.corners
    if segment < 0:
        return Group(corners, cut(picture, corners), cut(canvas, corners), None, -1)
    inside = labels == segment
    corners = attended((picture - canvas).abs().mean(2), corners, level, inside, generator)
    if not len(corners):
        return Group(corners, picture.new_zeros(0), picture.new_zeros(0), None, segment)
    return Group(corners, cut(picture, corners), cut(canvas, corners), cut(inside[..., None], corners)[..., 0], segment)


def _started(group: Group, budget: int, level: int, generator: torch.Generator) -> Tensor:
    """The thirteen numbers of strokes about the places of a grid, or at random inside the mask [P, budget, 13]."""
    count, device = len(group.corners), group.target.device
    if group.mask is None:
        side = math.isqrt(budget)
        along = 0.05 + torch.arange(side, dtype=torch.float32) / side
        places = torch.cartesian_prod(along, along)[None].expand(count, -1, -1).clamp(0, 0.99)
        spread = SPREAD[min(level, len(SPREAD) - 1)]
    else:
        weights = group.mask.flatten(1).float().cpu() + 1e-9
        drawn = torch.multinomial(weights, budget, replacement=True, generator=generator)
        places = (torch.stack([drawn // PATCH, drawn % PATCH], dim=2) + 0.5) / PATCH
        spread = MASKED_SPREAD
    ends = places.repeat(1, 1, 2) + spread * torch.randn(count, budget, 4, generator=generator)
    random = torch.rand(count, budget, 4, generator=generator)
    pixel = (places * PATCH).long().clamp(0, PATCH - 1)
    color = group.target.cpu()[torch.arange(count)[:, None], pixel[..., 0], pixel[..., 1]]
    opaque = torch.ones(count, budget, 2)
    numbers = [ends[..., :2], random[..., :2], ends[..., 2:], random[..., 2:], opaque, color]
    return torch.cat(numbers, dim=2).to(device)


def _optimised(
    group: Group, numbers: Tensor, brush: float, steps: int, renderer: Renderer, report: Callable[[float], bool]
) -> Tensor:
    """The numbers after Adam's steps, all patches together."""
    numbers = _clamped(numbers, brush)
    moments = Adam([numbers])
    for step in range(steps):
        slope = _slope(numbers, group, renderer, lambda done, total, step=step: report((step + done / total) / steps))
        moments.step([numbers], [-slope], RATE)
        numbers = _clamped(numbers, brush)
        if not report((step + 1) / steps):
            break
    return numbers


def _slope(numbers: Tensor, group: Group, renderer: Renderer, observe: Observe) -> Tensor:
    """Of the loss by the numbers [P, budget, 13]: L1, or the squared error inside the mask."""

    def slope(part: slice) -> Tensor:
        own = numbers[part].clone().requires_grad_(True)
        patches = renderer.patches(own, None, group.base[part])
        error = (patches - group.target[part]).detach()
        by_patch = error.sign() if group.mask is None else 2 * error * group.mask[part][..., None]
        patches.backward(by_patch / error[0].numel())
        assert own.grad is not None
        return own.grad

    return torch.cat(renderer.each(slope, len(numbers), observe))


def _clamped(numbers: Tensor, brush: float) -> Tensor:
    numbers = numbers.clamp(0, 1)
    numbers[..., RADII] = numbers[..., RADII].clamp(LEAST_RADIUS, brush)
    numbers[..., OPACITIES] = 1.0
    return numbers


def _painted(numbers: Tensor, kept: Tensor, group: Group, renderer: Renderer) -> Tensor:
    """The patches [P, 128, 128, 3] with the strokes [P, budget, 13] that are kept [P, budget]."""

    def painted(part: slice) -> Tensor:
        with torch.no_grad():
            return renderer.patches(numbers[part], kept[part], group.base[part])

    return torch.cat(renderer.each(painted, len(numbers), lambda done, total: None))


def _kept(group: Group, numbers: Tensor) -> Tensor:
    """Which strokes [P, budget] pass the filter."""
    kept = torch.ones_like(numbers[..., 0], dtype=torch.bool)
    if group.mask is None:
        return kept
    for number, mask in enumerate(group.mask):
        kept[number] = lies_inside(numbers[number], mask)
    return kept


def lies_inside(numbers: Tensor, mask: Tensor) -> Tensor:
    """Whether strokes [N, 13] of a patch have more than 98 % of their area and both ends inside the mask [128, 128]: [N]."""
    strokes = from_patch(numbers, (0.0, 0.0), PATCH)
    touched = coverage(strokes.geometry, strokes.opacity, (PATCH, PATCH)) > 0
    share = (touched & mask).flatten(1).sum(1) / touched.flatten(1).sum(1).clamp_min(1)
    ends = strokes.geometry[:, (0, 1, 4, 5)].long().clamp(0, PATCH - 1)
    return (share > INSIDE) & mask[ends[:, 0], ends[:, 1]] & mask[ends[:, 2], ends[:, 3]]


def _placed(numbers: Tensor, kept: Tensor, group: Group, level: int) -> Strokes:
    """The strokes that are kept, in the whole picture."""
    patch = torch.arange(len(group.corners), device=numbers.device)[:, None].expand_as(kept)[kept]
    strokes = from_patch(numbers[kept], (0.0, 0.0), PATCH, layer=level, segment=group.segment)
    corners = group.corners.to(strokes.geometry)[patch]
    shift = torch.cat([corners.repeat(1, 3), torch.zeros_like(corners)], dim=1)
    return replace(strokes, geometry=strokes.geometry + shift)
