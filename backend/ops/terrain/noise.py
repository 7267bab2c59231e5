"""Fractal noise at global pixel coordinates: gradient (Perlin) and Worley noise, their fractal sums, and domain warp.

The value of a pixel is a pure function of the field and of the pixel's global coordinates, so that windows of
one terrain agree bit for bit wherever they overlap, whatever their size. Plain torch operations (noise_plain.py) compute it
on any device, or the numba twins noise_cpu.py and noise_points_cpu.py on the CPU: the same float32 operations in the same
order, and the same bits but for the last one of Worley's square root. The twin for cards, noise_cuda.py, agrees to rounding.
Nothing here knows metres or relief: see backend/algorithms/noise.py.

Sources: Perlin, "Improving noise" (2002), for the fade 6t⁵ - 15t⁴ + 10t³; Worley, "A cellular texture basis
function" (1996); Musgrave et al., "Texturing and Modeling" (2003), ch. 16, for the ridged sum. Departures:
gradients are unit vectors of any direction (to 4e-4) instead of a table of twelve; each octave has its own hash
and its own shift of the lattice, so that zeros do not pile up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain import constants, noise_plain
from backend.ops.terrain.lattice import Lattice, make_lattice, stream_key

Basis = Literal["perlin", "worley-f1", "worley-f2-f1"]
Kind = Literal["fbm", "billow", "ridged"]
Pairs = list[tuple[Lattice, Lattice]]  # the x and the y lattice of each octave
BASES = {"perlin": constants.PERLIN, "worley-f1": constants.WORLEY_F1, "worley-f2-f1": constants.WORLEY_F2_F1}
KINDS = {"fbm": constants.FBM, "billow": constants.BILLOW, "ridged": constants.RIDGED}

NYQUIST_PX = 2.0  # an octave of a shorter wavelength would only alias
WARP_OCTAVES = 3
_WARP_STREAM = 0x57415250  # keeps the warp's hash apart from the noise's own


@dataclass(frozen=True, kw_only=True)
class NoiseField:
    """What to evaluate, independent of where.

    wavelength_px: of the first octave along x and y. lacunarity: ratio of the wavelengths, gain: of the
    amplitudes of one octave and the next. warp: standard displacement of an octave in its own wavelengths.
    period_px: (width, height) after which everything repeats, or None. axes_only: only four gradients, along
    the axes, as Merizzi's method has it. fine_octaves: keep those below two pixels.
    """

    basis: Basis = "perlin"
    kind: Kind = "fbm"
    wavelength_px: tuple[float, float] = (256.0, 256.0)
    octaves: int = 8
    lacunarity: float = 2.0
    gain: float = 0.5
    warp: float = 0.0
    seed: int = 0
    period_px: tuple[int, int] | None = None
    axes_only: bool = False
    fine_octaves: bool = False


@dataclass(frozen=True)
class Window:
    """A rectangle of global pixels: (x, y) of its top left one, columns and rows."""

    x: int
    y: int
    width: int
    height: int


def lattices(field: NoiseField) -> tuple[Pairs, np.ndarray]:
    """The (x, y) lattices of the octaves worth having, and their float32 amplitudes gain^i."""
    pairs, amplitudes = [], []
    for octave in range(field.octaves):
        lengths = [length / field.lacunarity**octave for length in field.wavelength_px]
        if octave and not field.fine_octaves and min(lengths) < NYQUIST_PX:
            break
        pair = []
        for axis, length in enumerate(lengths):
            key = stream_key(field.seed, octave, axis)
            shift = (key >> 40) / 2.0**24 if octave else 0.0  # the first octave keeps Perlin's zeros on its lattice
            pair.append(make_lattice(length, shift, key, field.period_px[axis] if field.period_px else None))
        pairs.append((pair[0], pair[1]))
        amplitudes.append(field.gain**octave)
    return pairs, np.array(amplitudes, np.float32)


def evaluate(
    field: NoiseField,
    window: Window,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    device: torch.device | str = "cpu",
    impl: Impl = "auto",
) -> Tensor:
    """offset + scale · noise over the window: float32 [1, 1, H, W] on the device.

    A gradient octave lies within ±1 with standard deviation 0.305; a Worley octave is the distance to the
    nearest point (F1), or what the second is further away (F2-F1), in cells. impl: see backend.ops.dispatch.
    """
    device = torch.device(device)
    chosen = choose(impl, device, cuda=True)
    if chosen == "cuda":
        return _on_card(field, window, scale, offset, device, impl)
    twin = chosen == "cpu"
    pairs, amplitude = lattices(field)
    amplitude = amplitude * np.float32(scale)
    if field.warp == 0.0 and field.basis == "perlin":
        left, right, frac, cells, below, above, rise = _row_tables(pairs, window)
        if twin:
            from backend.ops.terrain import noise_cpu

            out = np.empty((window.height, window.width), np.float32)
            noise_cpu.gradient_rows(
                left, right, frac, cells, below, above, rise,
                amplitude, KINDS[field.kind], field.axes_only, np.float32(offset), out,
            )  # fmt: skip
            return torch.from_numpy(out)[None, None]
        rows = (left, right, frac, below, above, rise)
        octaves = (noise_plain.gradient_octave(row, field.axes_only, device) for row in zip(*rows, strict=True))
    else:
        shift = _warp(field, window, device, impl)
        tables = _point_tables(pairs, window, shift, _reach(field, pairs))
        if twin:
            return _points_twin(field, window, pairs, shift, tables, amplitude, offset)
        octaves = _point_octaves(field, window, pairs, shift, tables, device)
    return noise_plain.fractal_sum(octaves, amplitude, KINDS[field.kind], offset)[None, None]


@dataclass(frozen=True)
class DeviceLattices:
    """What kernels on a card know of a field's octaves, per octave and axis, x first.

    steps: float64 [O, 2, 2], cells a pixel and shift. keys: int64 [O, 2, 3], key, period in pixels and in cells, 0 for none.
    amplitude: float32 [O], with its scale. reach: float64 [O], see _reach."""

    steps: Tensor
    keys: Tensor
    amplitude: Tensor
    reach: Tensor


@lru_cache(maxsize=16)
def _device_lattices(field: NoiseField, scale: float, device: torch.device) -> DeviceLattices:
    """Kept, so that the bands of a map need no copies to the card."""
    pairs, amplitude = lattices(field)
    steps = np.array([[(axis.frequency, axis.shift) for axis in pair] for pair in pairs])
    keys = np.array([[(axis.key, axis.period_px or 0, axis.cells or 0) for axis in pair] for pair in pairs], np.uint64)
    parts = (steps, keys.view(np.int64), amplitude * np.float32(scale), _reach(field, pairs))
    return DeviceLattices(*(torch.from_numpy(part).to(device) for part in parts))


def _on_card(
    field: NoiseField, window: Window, scale: float, offset: float, device: torch.device, impl: Impl
) -> Tensor:
    from backend.ops.terrain import noise_cuda

    known = _device_lattices(field, scale, device)
    out = torch.empty(window.height, window.width, device=device)
    common = known.amplitude, KINDS[field.kind], field.axes_only, np.float32(offset), out
    if field.warp == 0.0 and field.basis == "perlin":
        runs = -(-window.height // noise_cuda.RUN)
        noise_cuda.gradient_runs.launch((runs, window.width), window.x, window.y, known.steps, known.keys, *common)
        return out[None, None]
    shift = _warp(field, window, device, impl)
    noise_cuda.points.launch(
        (window.height, window.width), window.x, window.y, *shift, known.reach, known.steps, known.keys,
        common[0], BASES[field.basis], *common[1:],
    )  # fmt: skip
    return out[None, None]


@lru_cache(maxsize=64)
def reference_range(field: NoiseField, share: float = 0.002) -> tuple[float, float]:
    """Lowest and highest value of the field but for ``share`` at each end, from a fixed patch of 16 x 16 first
    wavelengths.

    Depends on the kind of field only (not on its seed, place, wavelength or period), so that heights scaled by it still
    meet at the edges of tiles and at other resolutions.
    """
    side = 512
    patch = replace(field, seed=0, wavelength_px=(side / 16, side / 16), period_px=None, fine_octaves=True)
    values = evaluate(patch, Window(0, 0, side, side)).numpy()
    low, high = np.quantile(values.astype(np.float64), (share, 1.0 - share))
    return float(low), float(high)


def _warp(field: NoiseField, window: Window, device: torch.device, impl: Impl) -> tuple[Tensor, Tensor]:
    """The displacement along x and y in pixels, [H, W] each, of two gradient fields of the first wavelength and
    their own seeds."""
    shifts = []
    for axis in range(2):
        if field.warp == 0.0:
            shifts.append(torch.zeros(window.height, window.width, device=device))
            continue
        seed = stream_key(field.seed, _WARP_STREAM, axis)
        warp_field = replace(
            field, basis="perlin", kind="fbm", octaves=WARP_OCTAVES, lacunarity=2.0, gain=0.5, warp=0.0, seed=seed
        )
        scale = field.warp * field.wavelength_px[axis] / 0.35  # 0.35: the deviation of three octaves
        shifts.append(evaluate(warp_field, window, scale=scale, device=device, impl=impl)[0, 0])
    return shifts[0], shifts[1]


def _row_tables(pairs: Pairs, window: Window) -> tuple[np.ndarray, ...]:
    """The seven tables of noise_cpu.gradient_rows, an octave a row."""
    xs = np.arange(window.width, dtype=np.int64) + window.x
    ys = np.arange(window.height, dtype=np.int64) + window.y
    columns: tuple[list[np.ndarray], ...] = ([], [], [], [], [], [], [])
    for lattice_x, lattice_y in pairs:
        cell_x, frac = lattice_x.locate(xs)
        cell_y, rise = lattice_y.locate(ys)
        entries = (*lattice_x.key_pairs(cell_x), frac, cell_y, *lattice_y.key_pairs(cell_y), rise)
        for column, entry in zip(columns, entries, strict=True):
            column.append(entry)
    return tuple(np.stack(column) for column in columns)


def _span(pixels_from: int, count: int, lattice: Lattice, shift: Tensor, reach: float) -> tuple[int, np.ndarray]:
    """First cell in reach and the keys of all of them, with the two more on each side that Worley's search asks for."""
    pixels = lattice.wrap(np.arange(count, dtype=np.int64) + pixels_from)
    low = (int(pixels.min()) + float(shift.min()) * reach) * lattice.frequency + lattice.shift
    high = (int(pixels.max()) + float(shift.max()) * reach) * lattice.frequency + lattice.shift
    first = int(np.floor(low)) - 3
    return first, lattice.keys(np.arange(first, int(np.floor(high)) + 4, dtype=np.int64))


def _point_tables(pairs: Pairs, window: Window, shift: tuple[Tensor, Tensor], reach: np.ndarray) -> list[tuple]:
    """For each octave ((first column, its keys), (first row, its keys))."""
    return [
        (
            _span(window.x, window.width, along_x, shift[0], share),
            _span(window.y, window.height, along_y, shift[1], share),
        )
        for (along_x, along_y), share in zip(pairs, reach.tolist(), strict=True)
    ]


def _points_twin(
    field: NoiseField,
    window: Window,
    pairs: Pairs,
    shift: tuple[Tensor, Tensor],
    tables: list[tuple],
    amplitude: np.ndarray,
    offset: float,
) -> Tensor:
    from backend.ops.terrain import noise_points_cpu

    (first_x, keys_x), (first_y, keys_y) = (_stack_spans([table[axis] for table in tables]) for axis in (0, 1))
    frequency_x, frequency_y = (np.array([pair[axis].frequency for pair in pairs]) for axis in (0, 1))
    start_x, start_y = (np.array([pair[axis].shift for pair in pairs]) for axis in (0, 1))
    period_x, period_y = field.period_px or (0, 0)
    out = np.empty((window.height, window.width), np.float32)
    noise_points_cpu.noise_points(
        window.x, window.y, shift[0].numpy(), shift[1].numpy(), _reach(field, pairs), frequency_x, frequency_y,
        start_x, start_y, period_x, period_y, keys_x, keys_y, first_x, first_y,
        amplitude, BASES[field.basis], KINDS[field.kind], field.axes_only, np.float32(offset), out,
    )  # fmt: skip
    return torch.from_numpy(out)[None, None]


def _reach(field: NoiseField, pairs: Pairs) -> np.ndarray:
    """How much of the warp each octave follows. Pushing the fine ones as far as the coarse would draw them out
    like wood grain, so that each is pushed in proportion to its own wavelength."""
    return np.array([field.lacunarity**-octave for octave in range(len(pairs))])


def _stack_spans(spans: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """First cells [O] and keys [O, N], the shorter rows padded."""
    longest = max(keys.size for _, keys in spans)
    firsts = np.array([first for first, _ in spans], np.int64)
    return firsts, np.stack([np.pad(keys, (0, longest - keys.size)) for _, keys in spans])


def _point_octaves(
    field: NoiseField,
    window: Window,
    pairs: Pairs,
    shift: tuple[Tensor, Tensor],
    tables: list[tuple],
    device: torch.device,
) -> Iterator[Tensor]:
    """Yields each octave [H, W] at displaced points."""
    starts, counts = (window.x, window.y), (window.width, window.height)
    for pair, spans, reach in zip(pairs, tables, _reach(field, pairs).tolist(), strict=True):
        cells, fracs, keys = [], [], []
        for axis in range(2):
            numbers = np.arange(counts[axis], dtype=np.int64) + starts[axis]
            pixels = torch.from_numpy(pair[axis].wrap(numbers)).to(device)
            pixels = pixels[None, :] if axis == 0 else pixels[:, None]
            position = (pixels.double() + shift[axis].double() * reach) * pair[axis].frequency + pair[axis].shift
            floor = torch.floor(position)
            first, table = spans[axis]
            cells.append(floor.long() - first)
            fracs.append((position - floor).to(torch.float32))
            keys.append(torch.from_numpy(table.astype(np.int64)).to(device))
        if field.basis == "perlin":
            yield noise_plain.perlin_at(*cells, *fracs, *keys, axes_only=field.axes_only)
        else:
            yield noise_plain.worley_at(*cells, *fracs, *keys, second_too=field.basis == "worley-f2-f1")
