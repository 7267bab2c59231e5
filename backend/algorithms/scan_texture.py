"""Scan texture: one clean texture for a mesh from photographs with known cameras (docs: "Scan").

Every pixel of every photograph is an observation of the texels under it; the texture is the robust least squares solution of all of
them (backend/ops/texels/stencil.py, solver.py), found from coarse to fine in a few passes over the photographs, which are
streamed. Between passes the photographs' gains, biases and displacements are found again (passes.py). What fits into memory is
solved as a whole, the rest in blocks with what the whole has taught (plan.py). Knows no socket, no file and no Blender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.scan import plan as scan_plan
from backend.algorithms.scan import report as scan_report
from backend.algorithms.scan.inputs import Scan, open_scan
from backend.algorithms.scan.passes import Passes, Progress
from backend.algorithms.scan.plan import Level, Plan
from backend.algorithms.scan.refining import refine_sheet, refinement_work
from backend.algorithms.scan.sheets import Place, Sheet, Sheets, Surface, blocks_of_tile, whole_tile
from backend.algorithms.scan.texture_refinement import RefinementSettings
from backend.algorithms.scan.views import Strip
from backend.ops.surface.charts import chart_numbers
from backend.ops.surface.edges import shared_edges
from backend.ops.surface.fill import fill_gutter
from backend.ops.surface.seams import SeamEdges, find_seams, measure_seams, seam_rows
from backend.ops.texels.observations import Residuals
from backend.ops.texels.problem import Seams
from backend.runtime.context import JobContext
from backend.runtime.device_memory import budget
from backend.runtime.memory import available_bytes, trim_heap
from backend.runtime.threads import spread
from shared.arrays import COUNT_MAP, MASK, MESH, TEXTURE, Array
from shared.catalog.scan_texture import ScanTextureParams

MEASURED_BYTES = 256 << 20  # of textures in floats; seams of larger ones are not measured
STRIP_ROWS = 64  # of a texture, that a thread takes
HALF_KNOWN = 1.0  # weight of observations at which a texel is as sure as not: one frontal pixel that fits


def run(params: ScanTextureParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Any]:
    """inputs: images (PHOTOGRAPHs), and mesh with cameras or uv_maps; see shared/catalog/scan_texture.py.

    Returns texture, coverage, confidence (tuples of Arrays, one a UDIM tile), mesh where one was given, and report. Raises
    InvalidInput, OutOfMemory, JobCancelled.
    """
    return solve_scan(params, inputs, job)


def solve_scan(
    params: ScanTextureParams, inputs: Mapping[str, Any], job: JobContext, *, together: bool | None = None
) -> dict[str, Any]:
    """run(), with photographs one by one or several together (Passes), which changes results by rounding only."""
    device = job.device if job.device.type == "cuda" else torch.device("cpu")
    progress = Progress(job)
    progress.alive()
    scan = open_scan(params, inputs)
    largest = max(view.width * view.height for view in scan.views)
    card_bytes = budget(device) if device.type == "cuda" else None
    plan = scan_plan.memory_plan(params, len(scan.tiles), largest, available_bytes(), card_bytes)
    passes = Passes(params, scan, job, progress, device, together)
    progress.plan(passes.pixels * (params.passes + 2.0))
    footprint = passes.survey()
    making = _Making(params, scan, plan, passes, device)
    making.solve(footprint)
    return making.outputs()


class _Making:
    """One run after its first look at the photographs: the levels, the blocks, and what they leave behind."""

    def __init__(self, params: ScanTextureParams, scan: Scan, plan: Plan, passes: Passes, device: torch.device) -> None:
        self.params, self.scan, self.plan, self.passes, self.device = params, scan, plan, passes, device
        self.surface: Surface | None = None
        self.edges: SeamEdges | None = None
        mesh = scan.mesh
        if mesh is not None and np.isfinite(mesh[..., 3:]).all(axis=(1, 2)).any():
            shared = shared_edges(mesh)
            self.surface = Surface(mesh, chart_numbers(mesh, shared))
            self.edges = find_seams(mesh, shared) if params.seam_weight > 0 else None
        size = params.size
        self.texture = {tile: np.zeros((size, size, 3), np.uint16) for tile in scan.tiles}
        self.coverage = {tile: np.zeros((size, size), np.uint16) for tile in scan.tiles}
        self.confidence = {tile: np.zeros((size, size), np.float32) for tile in scan.tiles}
        self.seen: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.predictions: dict[int, Residuals] = {}
        self.chart_texels = 0
        self.seen_texels = 0
        self.blocks = 0

    def solve(self, footprint: float) -> None:
        """Coarse to fine as a whole; then, where the texture is larger than that, in blocks."""
        params, passes, tiles = self.params, self.passes, self.scan.tiles
        sides = [min(photograph.view.width, photograph.view.height) for photograph in passes.used]
        levels = scan_plan.levels(params, self.plan.largest_live, footprint, sides)
        places = self._blocks() if self.plan.block_side else []
        self._plan_work(levels, places)
        coarse: dict[int, Tensor] = {}
        sheets, going = None, True
        for level in levels:
            del sheets
            trim_heap()
            sheets = Sheets([whole_tile(tile, level.size) for tile in tiles], self.device, params.pixel_model == "area")
            if coarse:
                sheets.start_from(coarse)
                coarse = {}
            final = level is levels[-1] and level.size == params.size
            going = passes.solve_level(sheets, level, self._surface(level.size), final=final)
            coarse = sheets.textures()
            if level.size < params.size:
                self._remember(sheets)
            if not going:
                break
        assert sheets is not None
        refinement = RefinementSettings.from_params(params)
        if sheets.sheets[0].place.whole == params.size:
            if refinement is not None and going:
                surface = self._surface(params.size)
                for sheet in sheets.sheets:
                    refine_sheet(passes, sheet, refinement, sheet.seams(surface))
            self._finish(sheets)
        else:
            self._solve_blocks(places or [whole_tile(tile, params.size) for tile in tiles], coarse, footprint, going)

    def _remember(self, sheets: Sheets) -> None:
        """What a level has seen, for sheets that are handed over before they have seen anything themselves; of 2 x 2 texels at
        once, when coverage is counted."""
        for sheet in sheets.sheets:
            counts = sheet.system.coverage()[::2, ::2].cpu().numpy()
            weight = (
                F.avg_pool2d(sheet.system.observation_weight()[None], 2, ceil_mode=True, divisor_override=1)[0]
                .cpu()
                .numpy()
            )
            self.seen[sheet.place.tile] = (np.where(weight > 0, np.maximum(counts, 1), 0).astype(np.uint16), weight)

    def _seen(self, sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
        """Photographs and weight a texel [side, side]. Somebody who finishes early gets what a coarser level knows."""
        weight = sheet.system.observation_weight().cpu().numpy()
        counts = sheet.system.coverage().cpu().numpy()
        if counts.any() or sheet.place.tile not in self.seen:
            return counts, weight
        known, known_weight = self.seen[sheet.place.tile]
        scale, place = len(known) / sheet.place.whole, sheet.place
        rows, columns = (
            np.minimum(((first + np.arange(place.side) + 0.5) * scale).astype(np.int64), len(known) - 1)
            for first in (place.top, place.left)
        )
        return known[np.ix_(rows, columns)], known_weight[np.ix_(rows, columns)] * np.float32(scale**2)

    def _solve_blocks(self, places: Sequence[Place], coarse: dict[int, Tensor], footprint: float, going: bool) -> None:
        """Each block from the coarser whole, with the gains and displacements that were found there."""
        params, passes = self.params, self.passes
        if params.refinement != "none":
            self.scan.warnings.append("The texture is too large for the memory to be refined as a whole; it was not.")
        sides = [min(photograph.view.width, photograph.view.height) for photograph in passes.used]
        level = scan_plan.block_level(params, footprint, sides)
        for number, place in enumerate(places):
            sheets = Sheets([place], self.device, params.pixel_model == "area")
            sheets.start_from(coarse)
            if going:
                seeing = passes.seeing(*place.window())
                label = f"{params.size} px, block {number + 1} of {len(places)}"
                going = passes.solve_level(
                    sheets, level, self._surface(params.size), learn=False, only=seeing, stage=label
                )
            self._finish(sheets)
        self.blocks = len(places)

    def _blocks(self) -> list[Place]:
        return [
            place for tile in self.scan.tiles for place in blocks_of_tile(tile, self.params.size, self.plan.block_side)
        ]

    def _plan_work(self, levels: Sequence[Level], places: Sequence[Place]) -> None:
        pixels, tiles = self.passes.pixels, len(self.scan.tiles)
        work = sum(len(level.losses) * pixels / level.reduction**2 for level in levels)
        work += pixels * scan_plan.BLOCK_PASSES * len(places)
        refinement = RefinementSettings.from_params(self.params)
        if refinement is not None and not places:
            work += refinement_work(self.passes, refinement) * tiles
        held = sum(p.view.width * p.view.height for p in self.passes.photographs if p.held_out)
        self.passes.progress.plan(work + held * max(len(places), tiles))

    def _surface(self, size: int) -> Surface | None:
        """The surface with its seam rows for textures of this size."""
        if self.surface is None or self.edges is None or not self.edges.count:
            return self.surface
        rows = seam_rows(self.edges, size)
        within = {tile: rows.within(tile) for tile in self.scan.tiles}
        seams = {tile: Seams(own.uv_a, own.uv_b, own.weight) for tile, own in within.items()}
        return replace(self.surface, seams=seams)

    # What is handed back ---------------------------------------------------------------------------------------------

    def _finish(self, sheets: Sheets) -> None:
        """Fill unseen texels, pass on the sheets' cores, and predict the held-out photographs from them."""
        for sheet in sheets.sheets:
            self.passes.progress.alive()
            self._hand_over(sheet)
        held = [photograph for photograph in self.passes.photographs if photograph.held_out and not photograph.reason]
        if not held:
            return
        sheets.look()
        for view, frame in self.passes.stream.frames([photograph.view for photograph in held]):
            total: Residuals | None = None
            for strip in self.passes.stream.strips(frame):
                self.passes.progress.advance(strip.weights.numel(), "predicting the held-out photographs")
                own = _cores(strip, sheets)
                found = sheets.accumulate(own, np.ones(3), np.zeros(3), loss="l2", threshold=1.0, solve=False)
                total = found if total is None else total + found
            if total is not None:
                before = self.predictions.get(view.index)
                self.predictions[view.index] = total if before is None else before + total

    def _hand_over(self, sheet: Sheet) -> None:
        """A sheet's core into the outputs, as 16 bits."""
        assert sheet.texture is not None
        place = sheet.place
        top, left, bottom, right = place.core
        own = (slice(top - place.top, bottom - place.top), slice(left - place.left, right - place.left))
        to = (slice(top, bottom), slice(left, right))
        counts, weight = self._seen(sheet)
        sheet.system.release()
        trim_heap()
        charts = sheet.charts(self.surface)
        in_chart = counts > 0 if charts is None else charts > 0
        weight = np.where(weight < 0, np.float32(0), weight)  # sums of gradient rows cancel but for their rounding
        confidence = np.where(counts > 0, weight / (weight + HALF_KNOWN), 0.0)[own]
        if in_chart.any():
            known = torch.from_numpy(in_chart).to(self.device)
            if self.params.mips:
                fill_gutter(sheet.texture, known)
            else:
                sheet.texture.masked_fill_(~known, 0.0)
        texture = sheet.texture.cpu().numpy()
        kept = self.texture[place.tile][to]

        def store(rows: slice) -> None:
            part = np.clip(texture[:, own[0], own[1]][:, rows], 0.0, 1.0) * 65535.0 + 0.5
            kept[rows] = part.transpose(1, 2, 0)

        self._by_rows(store, len(kept))
        self.coverage[place.tile][to] = np.where(in_chart, counts, 0)[own]
        self.confidence[place.tile][to] = np.where(in_chart[own], confidence, 0.0)
        self.chart_texels += int(np.count_nonzero(in_chart[own]))
        self.seen_texels += int(np.count_nonzero(in_chart[own] & (counts[own] > 0)))

    def outputs(self) -> dict[str, Any]:
        """Every output port's Arrays."""
        tiles, params = self.scan.tiles, self.params
        several = tiles != [1001]
        attributes: list[dict[str, Any]] = [{"tile": tile} if several else {} for tile in tiles]
        held = {index: scan_report.held_out(residuals) for index, residuals in self.predictions.items()}
        report = scan_report.make_report(
            self.scan, self.passes, held, size=params.size, blocks=self.blocks, seen_texels=self.seen_texels,
            coverage=self.seen_texels / max(self.chart_texels, 1), seam_ratio=self._seam_ratio(),
        )  # fmt: skip
        made: dict[str, Any] = {
            "texture": _arrays(TEXTURE, self.texture, tiles, attributes),
            "coverage": _arrays(COUNT_MAP, self.coverage, tiles, attributes),
            "confidence": _arrays(MASK, self.confidence, tiles, attributes),
            "report": report,
        }
        if self.scan.mesh is not None:
            origin = {"origin": self.scan.origin.tolist()} if self.scan.origin.any() else {}
            made["mesh"] = Array(MESH, np.ascontiguousarray(self.scan.mesh), origin)
        self.passes.progress.job.step(1000000, 1000000, "done")
        return made

    def _seam_ratio(self) -> float | None:
        floats = 12 * self.params.size**2 * len(self.scan.tiles)
        if self.edges is None or not self.edges.count or floats > MEASURED_BYTES:
            return None
        textures: dict[int, np.ndarray] = {}
        for tile, values in self.texture.items():
            textures[tile] = made = np.empty((3, *values.shape[:2]), np.float32)

            def store(rows: slice, values: np.ndarray = values, made: np.ndarray = made) -> None:
                np.divide(values[rows].transpose(2, 0, 1), np.float32(65535), out=made[:, rows])

            self._by_rows(store, len(values))
        return measure_seams(textures, self.edges).ratio

    def _by_rows(self, store: Callable[[slice], None], count: int) -> None:
        """store() of all rows, on threads: in strips, for a second copy in floats would be large."""
        strips = [slice(row, min(row + STRIP_ROWS, count)) for row in range(0, count, STRIP_ROWS)]
        spread(store, strips, torch.get_num_threads(), lambda done, total: self.passes.progress.alive())


def _cores(strip: Strip, sheets: Sheets) -> Strip:
    """The strip, weighing only what looks into the core of a block, so that no pixel counts in two."""
    place = sheets.sheets[0].place
    if place.is_tile:
        return strip
    low, high = place.core_window()
    ends = [torch.from_numpy(end).to(strip.uv) for end in (low, high)]
    inside = ((strip.uv >= ends[0]) & (strip.uv < ends[1])).all(-1)
    return replace(strip, weights=torch.where(inside, strip.weights, 0.0))


def _arrays(kind: Any, values: Mapping[int, np.ndarray], tiles: Iterable[int], attributes: list[dict]) -> tuple:
    return tuple(Array(kind, values[tile], own) for tile, own in zip(tiles, attributes, strict=True))
