"""The passes over photographs that the scan texture engine is made of, and what it learns of each photograph on the way.

survey() looks once at small photographs: who sees the mesh, how coarsely, in which light. Then every turn of solve_level() is a
pass (all photographs into the normal equations), a new texture, and new gains and displacements for the next pass. Photographs
that do not fit are set aside. plan.py says which levels there are, scan_texture.py what is handed back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.scan.inputs import Scan
from backend.algorithms.scan.plan import Level, survey_reduction
from backend.algorithms.scan.sheets import Sheets, Surface
from backend.algorithms.scan.stacks import Stack, Stacks
from backend.algorithms.scan.views import ScanView, Strip, ViewStream
from backend.ops.photos.alignment import Displacement, Evidence, Evidences, displacement
from backend.ops.photos.color_correction import CellColors, no_correction, refit
from backend.ops.photos.view_weights import WeightSettings
from backend.ops.tensors import as_tensor
from backend.ops.texels.observations import Loss, Residuals
from backend.runtime.context import JobContext
from backend.runtime.device_memory import budget
from shared.catalog.scan_texture import ScanTextureParams
from shared.errors import InvalidInput

CELLS = 64  # along a tile, for the photographs' mean colours
CELL_BUDGET = 1 << 16  # over all tiles
LEAST_SEEN = 1e-3  # of its pixels that a photograph must bring
WORSE = 1.5  # a displaced photograph whose residual grows by so much against the others' goes back: it was led astray
JUDGED_FROM = 2  # times reduced, and less: coarser photographs may still be far from where they belong
WORST = 0.8  # of the largest residual: photographs above it are set aside together
HUBER_KNEE = 2.5  # times the tolerance
WORTH_NAMING = 3.0  # times the tolerance: a residual below it is no misfit, whatever the others' are


@dataclass(eq=False)
class Photograph:
    """What is known of a photograph. residual: mean |r| of the last pass; footprint: of a typical full pixel, UV units."""

    view: ScanView
    held_out: bool = False
    reason: str = ""
    footprint: float = float("nan")
    cells: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    displacement: Displacement | None = None
    proposed: np.ndarray | None = None  # nodes that the last pass asks for
    before: np.ndarray | None = None  # nodes before the last move
    residual: float = float("nan")
    earlier: float = float("nan")  # its residual a pass before
    last: Residuals | None = None

    @property
    def is_used(self) -> bool:
        return not self.reason and not self.held_out


class Progress:
    """Work done of work planned, in pixels that went through; never runs backwards."""

    def __init__(self, job: JobContext) -> None:
        self.job, self.done, self.total, self.stage = job, 0.0, 1.0, "analysing the photographs"

    def plan(self, work: float) -> None:
        """There are `work` pixels still to come."""
        share = self.done / self.total  # of the bar; the rest of it now stands for the new work
        self.total = work / max(1.0 - share, 1e-6)
        self.done = share * self.total

    def advance(self, work: float, stage: str = "") -> None:
        self.done, self.stage = min(self.done + work, self.total), stage or self.stage
        self.alive()

    def alive(self) -> None:
        self.job.step(int(1e6 * self.done / self.total), 1000000, self.stage)


class Passes:
    """All photographs of a scan and how they are brought together."""

    def __init__(
        self, params: ScanTextureParams, scan: Scan, job: JobContext, progress: Progress, device: torch.device,
        together: bool | None = None,
    ) -> None:  # fmt: skip
        """device: where photographs are worked on. together: whether several at a time, as a card wants; None: on a card."""
        settings = WeightSettings(params.view_angle_power, params.steepest_view, params.silhouette_px, params.border_px)
        self.params, self.scan, self.job, self.progress = params, scan, job, progress
        self.device = device
        mesh, occluders = (None if given is None else as_tensor(given, device) for given in (scan.mesh, scan.occluders))
        self.stream = ViewStream(mesh, occluders, settings, progress.alive, device)
        together = device.type == "cuda" if together is None else together
        stacks = Stacks(self.stream, budget(device)) if together else None
        self.stacks = stacks if stacks is not None and stacks.take(scan.views) else None
        if stacks is not None and self.stacks is None:
            self.stream.strip_pixels = max(stacks.most_pixels, self.stream.strip_pixels)
        if self.stacks is None:
            self.stream.keep(scan.views)
        else:
            self.stacks.keep(scan.views)
        every = params.hold_out
        self.photographs = [
            Photograph(view, held_out=every > 0 and place % every == every - 1) for place, view in enumerate(scan.views)
        ]
        self.correction = no_correction(len(scan.views))
        self._layout: CellColors | None = None
        self._shown = torch.empty(0, device=self.device)
        self._measured = False  # whether the last pass had a texture to compare with

    @property
    def used(self) -> list[Photograph]:
        return [photograph for photograph in self.photographs if photograph.is_used]

    @property
    def pixels(self) -> int:
        """Of all photographs in use, at full size."""
        return sum(photograph.view.width * photograph.view.height for photograph in self.used)

    # The first look --------------------------------------------------------------------------------------------------

    def survey(self) -> float:
        """Light, footprint and overlap of all photographs. Returns the typical pixel's footprint.

        Raises InvalidInput where none sees the mesh.
        """
        tiles = self.scan.tiles
        cells = CellColors(
            tiles, max(min(CELLS, int((CELL_BUDGET / max(len(tiles), 1)) ** 0.5)), 8), device=self.device
        )
        largest = max(max(view.width, view.height) for view in self.scan.views)
        smallest = min(min(view.width, view.height) for view in self.scan.views)
        reduction = survey_reduction(largest, max(smallest, 1))
        if self.stacks is not None:
            self._survey_together(self.stacks, cells, reduction)
        for view, frame in self.stream.frames([] if self.stacks is not None else self.scan.views, reduction):
            photograph, seen, sizes = self.photographs[view.index], 0, []
            for strip in self.stream.strips(frame, reduction):
                counted = strip.footprint[strip.weights > 0]
                seen += len(counted)
                sizes.append(counted[::16].cpu().numpy())
                cells.add(strip.uv, strip.weights, strip.pixels)
            size = float(np.median(np.concatenate(sizes))) if seen else 0.0
            self._note_size(photograph, seen / max(frame.pixels.shape[0] * frame.pixels.shape[1], 1), size / reduction)
            photograph.cells = cells.close(view.index, counts=photograph.is_used)
            self._prepare(photograph)
            self.progress.advance(view.width * view.height / reduction**2)
        if not self.used:
            raise InvalidInput(
                "None of the photographs shows the mesh.",
                hint="Check the cameras' poses and scale, and that the mesh's faces point outwards.",
                field="cameras",
            )
        self._layout = cells
        self.correction, _ = cells.fit(len(self.photographs), self.params.color_correction)
        return float(np.median([photograph.footprint for photograph in self.used]))

    def _note_size(self, photograph: Photograph, share: float, footprint: float) -> None:
        """share: of its pixels that see the mesh."""
        if share < LEAST_SEEN:
            photograph.reason = "sees nothing of the mesh" if not share else "shows hardly anything of the mesh"
        else:
            photograph.footprint = footprint

    def _survey_together(self, stacks: Stacks, cells: CellColors, reduction: int) -> None:
        """The first look where photographs are worked on together."""
        found: list[tuple[Stack, Tensor, Tensor]] = []
        for stack in stacks.of(self.scan.views, reduction):
            strip = stacks.strip(stack, reduction, [])
            found.append((stack, _typical_sizes(strip), cells.sums_of(strip.uv, strip.weights, strip.pixels)))
            self.progress.advance(float(strip.weights.numel()))
        for stack, sizes, sums in found:
            for view, (share, size), own in zip(stack.views, sizes.tolist(), sums.cpu().numpy(), strict=True):
                photograph = self.photographs[view.index]
                self._note_size(photograph, share, size / reduction)
                photograph.cells = cells.note(view.index, own, counts=photograph.is_used)
                self._prepare(photograph)

    def seeing(self, *window: float) -> list[Photograph]:
        """Those in use that see something within u0, v0, u1, v1."""
        assert self._layout is not None
        return [photograph for photograph in self.used if self._layout.touches(photograph.cells, *window)]

    def _prepare(self, photograph: Photograph) -> None:
        if self.params.alignment != "none":
            view = photograph.view
            photograph.displacement = displacement(
                view.width, view.height, self.params.alignment, self.params.warp_cell_px
            )

    # Passes ----------------------------------------------------------------------------------------------------------

    def solve_level(
        self, sheets: Sheets, level: Level, surface: Surface | None, *, learn: bool = True, final: bool = False,
        only: list[Photograph] | None = None, stage: str = "",
    ) -> bool:  # fmt: skip
        """All passes of a level; False as soon as somebody wants to finish. learn: gains, displacements and misfits, too.
        final: no level follows, so what the last pass could teach is not asked for."""
        for turn, loss in enumerate(level.losses):
            chosen = self.used if only is None else [photograph for photograph in only if photograph.is_used]
            label = stage or f"{level.size} px, pass {turn + 1} of {len(level.losses)}"
            started = sheets.sheets[0].texture is not None
            last = turn == len(level.losses) - 1
            teaches = learn and started and not (final and last)
            align = teaches and self.params.alignment != "none"
            self._gather(sheets, level, loss, chosen, align=align, count=last, stage=label)
            self._measured = started
            sheets.solve(
                surface,
                smoothness=self._smoothness(),
                seam_weight=self.params.seam_weight,
                thorough=last,
                alive=self.progress.alive,
            )
            if learn and started:
                self._judge(chosen, may_set_aside=level.reduction <= JUDGED_FROM)
            if teaches:
                self._correct(sheets, chosen)
                self._move(chosen)
            self._show(sheets)
            if self.job.finish_early and not last:
                return False
        return not self.job.finish_early

    def _gather(
        self,
        sheets: Sheets,
        level: Level,
        loss: Loss,
        chosen: list[Photograph],
        *,
        align: bool,
        count: bool,
        stage: str,
    ) -> None:
        """One pass: the photographs into the sheets' normal equations, and what each has to say of its own fit."""
        sheets.begin()
        knee = self.params.tolerance * (HUBER_KNEE if loss == "huber" else 1.0)
        reduction = level.reduction
        if self.stacks is not None:
            self._gather_together(self.stacks, sheets, level, loss, knee, chosen, align=align, count=count, stage=stage)
            return
        for view, frame in self.stream.frames([photograph.view for photograph in chosen], reduction):
            photograph = self.photographs[view.index]
            gain, offset = self.correction.to_texture(view.index)
            evidence = None
            if align and photograph.displacement is not None:
                evidence = Evidence(photograph.displacement, reduction, self.device)
            total: Residuals | None = None
            for strip in self.stream.strips(frame, reduction, photograph.displacement):
                model = None if evidence is None else self._nothing_shown(strip.pixels.shape)
                found = sheets.accumulate(
                    strip, gain, offset, loss=loss, threshold=knee, gradient=self.params.gradient_weight,
                    photograph=view.index if count else None, shown=model,
                )  # fmt: skip
                total = found if total is None else total + found
                if evidence is not None and model is not None:
                    evidence.add(
                        model, strip.pixels, gain, offset, strip.weights, strip.first_row, 0,
                        strip.weights.shape[0],
                    )  # fmt: skip
                self.progress.advance(strip.weights.numel(), stage)
            photograph.last = total
            photograph.proposed = None if evidence is None else evidence.step(self._most_px(view))

    def _gather_together(
        self, stacks: Stacks, sheets: Sheets, level: Level, loss: Loss, knee: float, chosen: list[Photograph], *, align: bool,
        count: bool, stage: str,
    ) -> None:  # fmt: skip
        """The same where photographs are worked on together; what they have to say is read when all of them are through."""
        found: list[tuple[list[Photograph], Residuals, Evidences | None]] = []
        for stack in stacks.of([photograph.view for photograph in chosen], level.reduction):
            photographs = [self.photographs[view.index] for view in stack.views]
            tones = [self.correction.to_texture(view.index) for view in stack.views]
            gain, offset = (np.stack(part) for part in zip(*tones, strict=True))
            displacements = [photograph.displacement for photograph in photographs]
            strip = stacks.strip(stack, level.reduction, displacements)
            known, evidence = [moved for moved in displacements if moved is not None], None
            if align and known:
                evidence = Evidences(known, level.reduction, self.device)
            model = None if evidence is None else self._nothing_shown(strip.pixels.shape)
            residuals = sheets.accumulate(
                strip, gain, offset, loss=loss, threshold=knee, gradient=self.params.gradient_weight,
                photograph=[view.index for view in stack.views] if count else None, shown=model,
            )  # fmt: skip
            if evidence is not None and model is not None:
                evidence.add(model, strip.pixels, gain, offset, strip.weights)
            found.append((photographs, residuals, evidence))
            self.progress.advance(strip.weights.numel(), stage)
        for photographs, residuals, evidence in found:
            said = [None] * len(photographs) if evidence is None else evidence.each()
            for photograph, own, evidence_of_it in zip(photographs, residuals.each(), said, strict=True):
                photograph.last = own
                photograph.proposed = (
                    None if evidence_of_it is None else evidence_of_it.step(self._most_px(photograph.view))
                )

    def _nothing_shown(self, shape: torch.Size) -> Tensor:
        """[rows, W, 3] NaN, good until the next one is asked for: memory that is written anew is slower than memory kept."""
        if self._shown.shape != shape:
            self._shown = torch.empty(shape, device=self.device)
        return self._shown.fill_(torch.nan)

    def _most_px(self, view: ScanView) -> float:
        return self.params.most_shift / 100 * max(view.width, view.height)

    def _judge(self, chosen: list[Photograph], *, may_set_aside: bool) -> None:
        """Note residuals; set photographs aside whose residual is far above the others'."""
        for photograph in chosen:
            photograph.earlier = photograph.residual
            if photograph.last is not None and photograph.last.count:
                photograph.residual = photograph.last.absolute / photograph.last.count / np.sqrt(3.0)
        residuals = np.array([photograph.residual for photograph in chosen])
        if len(chosen) < 3 or not may_set_aside:
            return
        typical = max(float(np.nanmedian(residuals)), self.params.tolerance * WORTH_NAMING / self.params.misfit)
        # what does not fit spoils the texture for its neighbours, too: only the worst go at a time
        least = max(self.params.misfit * typical, WORST * float(np.nanmax(residuals)))
        for photograph in chosen:
            if photograph.residual > least:
                photograph.reason = (
                    f"does not fit: its residual of {photograph.residual:.3f} is {photograph.residual / typical:.1f} times "
                    "the others'"
                )

    @property
    def noise(self) -> float:
        """The root mean square by which a typical photograph's pixels miss the texture, outliers weakened; a channel."""
        found = [p.last.squared / p.last.weight / 3.0 for p in self.used if p.last is not None and p.last.weight > 0]
        return float(np.sqrt(np.median(found))) if found and self._measured else self.params.tolerance

    def _smoothness(self) -> float:
        """What photographs that disagree need is more smoothness, by the square of the disagreement: the most probable texture
        weighs its neighbours' agreement against the observations' noise. The parameter is for noise like the tolerance."""
        return self.params.smoothness * min(max((self.noise / self.params.tolerance) ** 2, 0.1), 100.0)

    def _correct(self, sheets: Sheets, chosen: list[Photograph]) -> None:
        """New gains from the pass, and the textures in the colours that they mean."""
        if self.params.color_correction == "none":
            return
        sums = np.zeros((len(self.photographs), 3, 5))
        for photograph in chosen:
            found = photograph.last
            if photograph.is_used and found is not None and found.weight > 0:
                columns = (found.model, found.photograph, found.model_squared, found.product)
                sums[photograph.view.index] = np.stack([np.full(3, found.weight), *columns], axis=1)
        self.correction, scale, shift = refit(sums, self.params.color_correction)
        for sheet in sheets.sheets:
            if sheet.texture is not None:
                texture = sheet.texture
                texture *= texture.new_tensor(scale)[:, None, None]
                texture += texture.new_tensor(shift)[:, None, None]

    def _move(self, chosen: list[Photograph]) -> None:
        """Displacements as the pass asks for them; a photograph that the move before has made much worse goes back."""
        changes = np.array([photograph.residual / photograph.earlier for photograph in chosen])
        typical = float(np.nanmedian(changes)) if np.isfinite(changes).any() else 1.0
        for photograph, change in zip(chosen, changes, strict=True):
            if photograph.displacement is None:
                continue
            if photograph.before is not None and change > WORSE * typical:
                photograph.displacement = replace(photograph.displacement, nodes=photograph.before)
                photograph.before = None
            elif photograph.proposed is not None:
                photograph.before = photograph.displacement.nodes
                photograph.displacement = replace(photograph.displacement, nodes=photograph.proposed)
            else:
                photograph.before = None

    def _show(self, sheets: Sheets) -> None:
        """Shows the first sheet's current texture to the viewer."""
        texture = sheets.sheets[0].texture
        if texture is not None and self.job.has_viewer:
            self.job.preview(texture=lambda: for_viewing(texture))


def _typical_sizes(strip: Strip) -> Tensor:
    """[B, 2] float64: of B photographs the share of pixels that see the mesh, the median footprint of every 16th of these."""
    seen = strip.weights.flatten(1) > 0
    counts = seen.cumsum(1, dtype=torch.int32)
    taken = seen & ((counts - 1) % 16 == 0)
    sizes = torch.where(taken, strip.footprint.flatten(1), torch.inf).sort(1).values
    many = taken.sum(1)
    middle = torch.stack([(many - 1).clamp(min=0) // 2, many // 2], 1).clamp(max=sizes.shape[1] - 1)
    return torch.stack([counts[:, -1] / seen.shape[1], sizes.gather(1, middle).mean(1)], 1).to(torch.float64)


def for_viewing(texture: Tensor, most: int = 512) -> np.ndarray:
    """A texture [3, S, S] as uint16 [s, s, 3] with s <= most."""
    factor = -(-texture.shape[-1] // most)
    small = F.avg_pool2d(texture[None], factor)[0] if factor > 1 else texture
    return (small.clamp(0, 1) * 65535 + 0.5).permute(1, 2, 0).cpu().numpy().astype(np.uint16)
