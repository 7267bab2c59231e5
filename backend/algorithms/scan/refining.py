"""Hands a solved sheet and its photographs to the refinement (texture_refinement.py): corrected colours, bent UVs, weights.

It owns no loss and no optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from backend.algorithms.scan.passes import Passes, for_viewing
from backend.algorithms.scan.sheets import Place, Sheet
from backend.algorithms.scan.texture_refinement import RefinementSettings, View, refine
from backend.algorithms.scan.views import Strip
from backend.ops.texels.problem import Seams

WORK = 3.0  # of a pixel in an epoch, in pixels' passes of the solver


def refinement_work(passes: Passes, settings: RefinementSettings) -> float:
    """For the progress bar: as pixels that go through the solver once."""
    return WORK * (settings.epochs + settings.decay_epochs) * passes.pixels


def refine_sheet(passes: Passes, sheet: Sheet, settings: RefinementSettings, seams: Seams) -> None:
    """The sheet's texture, refined in place of the solved one. Its work must have been planned."""
    assert sheet.texture is not None
    job, progress = passes.job, passes.progress
    used, device = passes.used, sheet.texture.device
    first = progress.done / progress.total
    last = min(first + refinement_work(passes, settings) / progress.total, 1.0)
    total = progress.total

    def step(done: int, steps: int, stage: str) -> None:
        """What reads the photographs reports as well: both say what stands in `progress`."""
        progress.done, progress.stage = (first + (last - first) * done / steps) * total, stage
        progress.alive()

    def look(texture: Callable[[], np.ndarray]) -> None:
        job.preview(texture=lambda: for_viewing(torch.from_numpy(np.ascontiguousarray(texture()))))

    def views(order: Sequence[int]) -> Iterator[View]:
        chosen = [used[number].view for number in order]
        numbers = {photograph.view.index: number for number, photograph in enumerate(used)}
        for view, frame in passes.stream.frames(chosen):
            gain, offset = passes.correction.to_texture(view.index)
            made = (
                _as_view(strip, sheet.place, gain, offset, numbers[view.index])
                for strip in passes.stream.strips(frame, 1, passes.photographs[view.index].displacement)
            )
            if settings.needs_whole_views:
                yield _joined(list(made))
            else:
                yield from made

    refined = refine(sheet.texture.cpu().numpy(), views, len(used), settings, job, step=step, seams=seams, look=look)
    progress.done = last * total
    sheet.texture = torch.from_numpy(np.ascontiguousarray(refined, np.float32)).to(device)


def _as_view(strip: Strip, place: Place, gain: np.ndarray, offset: np.ndarray, photograph: int) -> View:
    """The part of a strip that looks into a sheet, in the texture's colours."""
    top = strip.weights.new_tensor(torch.iinfo(strip.pixels.dtype).max)
    uv = place.to_sheet(strip.uv)
    inside = ((uv >= 0) & (uv <= 1)).all(-1) & (strip.weights > 0)
    return View(
        colors=strip.pixels.to(torch.float32) / top * top.new_tensor(gain) + top.new_tensor(offset),
        uv=torch.where(inside[..., None], uv, torch.nan),
        weight=torch.where(inside, strip.weights, 0.0),
        footprint=strip.footprint,
        photograph=photograph,
    )


def _joined(parts: list[View]) -> View:
    """A whole photograph from its strips."""
    if len(parts) == 1:
        return parts[0]
    footprints = [part.footprint for part in parts if part.footprint is not None]
    return View(
        colors=torch.cat([part.colors for part in parts]),
        uv=torch.cat([part.uv for part in parts]),
        weight=torch.cat([part.weight for part in parts]),
        footprint=torch.cat(footprints) if len(footprints) == len(parts) else None,
        photograph=parts[0].photograph,
    )
