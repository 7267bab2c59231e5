"""A sketch of any size through a terrain generator, in tiles that agree but for rounding.

What a generator makes at a place depends on what is nearer than REACH_PX alone (measured: farther changes nothing above a
thousandth of its unit), and its noise on coordinates; so tiles that overlap by that need no blending. Knows no job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.models.terrain_generator import STRIDE, TerrainGenerator
from backend.ops.terrain import coordinate_noise
from backend.ops.terrain.generator_units import SOFT_EDGE_PX, class_shares
from backend.runtime.device import cpu_computes_bfloat16

REACH_PX = 160
BORDER_PX = 64  # of the sketch's own border, repeated outwards: the end of the world is out of sight
TILE_PX = 768
COARSE_STREAM = 1 << 20

Observe = Callable[[int, int], None]  # tiles done, tiles in all


@dataclass(frozen=True)
class Made:
    """height [H, W] float32 in the model's unit. color [H, W, 3] 0..1, square root of linear RGB, or None."""

    height: Tensor
    color: Tensor | None


def load(tensors: Mapping[str, Tensor], classes: int, device: torch.device) -> TerrainGenerator:
    """The generator that has these weights, whatever its widths, ready to be asked. ValueError where they are of none."""
    try:
        levels = sum(name.startswith("heights.") and name.endswith(".weight") for name in tensors)
        widths = [int(tensors[f"blocks.{level}.conv_1.weight"].shape[0]) for level in range(levels)]
        network = TerrainGenerator(classes, color="color.weight" in tensors, widths=widths)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, RuntimeError, IndexError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    network.requires_grad_(False).eval().to(device)
    if device.type == "cuda":  # autocast would convert them at every call
        for part in (network.start, *network.blocks):
            part.to(torch.bfloat16)
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@torch.inference_mode()
def generate(
    network: TerrainGenerator,
    classes: Tensor,  # [H, W] integers
    count: int,
    *,
    scale: float,
    seed: int,
    tile_px: int = TILE_PX,
    observe: Observe = lambda done, total: None,
) -> Made:
    """What the generator makes of a sketch. tile_px: a multiple of STRIDE; memory grows with it, results do not change."""
    device = next(network.parameters()).device
    padded = _padded(classes.to(device), tile_px)
    rows, columns = padded.shape
    height = torch.empty(rows, columns)
    color = torch.empty(rows, columns, 3) if network.color is not None else None
    tiles = list(_tiles(rows, columns, tile_px))
    for number, tile in enumerate(tiles):
        observe(number, len(tiles))
        made = _tile(network, padded, count, tile, scale, seed)
        target, source = tile.target, tile.source
        height[target] = made[0][source].cpu()
        if color is not None and made[1] is not None:
            color[target] = made[1][source].cpu()
    inner = (slice(BORDER_PX, BORDER_PX + classes.shape[0]), slice(BORDER_PX, BORDER_PX + classes.shape[1]))
    return Made(height[inner].contiguous(), color[inner].contiguous() if color is not None else None)


@dataclass(frozen=True)
class _Tile:
    """What is computed (window), what of it is kept (source), and where that goes (target), in the padded map."""

    window: tuple[slice, slice]
    source: tuple[slice, slice]
    target: tuple[slice, slice]


def _tiles(rows: int, columns: int, tile_px: int) -> Iterator[_Tile]:
    for top in range(0, rows, tile_px):
        for left in range(0, columns, tile_px):
            down, across = (
                _reaching(start, min(start + tile_px, side), side) for start, side in ((top, rows), (left, columns))
            )
            yield _Tile((down[0], across[0]), (down[1], across[1]), (down[2], across[2]))


def _reaching(start: int, stop: int, side: int) -> tuple[slice, slice, slice]:
    first, last = max(0, start - REACH_PX), min(side, stop + REACH_PX)
    return slice(first, last), slice(start - first, stop - first), slice(start, stop)


def _padded(classes: Tensor, tile_px: int) -> Tensor:
    """The sketch with its border repeated, to whole strides."""
    if tile_px % STRIDE or tile_px < STRIDE:
        raise ValueError(f"a tile of {tile_px} pixels; it must be a multiple of {STRIDE}")
    places = []
    for side in classes.shape:
        whole = -(-(side + 2 * BORDER_PX) // STRIDE) * STRIDE
        places.append((torch.arange(whole, device=classes.device) - BORDER_PX).clamp(0, side - 1))
    return classes.to(torch.uint8)[places[0][:, None], places[1][None]]


def _tile(
    network: TerrainGenerator, padded: Tensor, count: int, tile: _Tile, scale: float, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Heights [h, w] and colour [h, w, 3] of a window."""
    shares = _shares(padded, count, tile.window)
    top, left = (part.start for part in tile.window)

    def noise(number: int, channels: int, size: tuple[int, int]) -> Tensor:
        stride = STRIDE if number == 0 else STRIDE >> ((number - 1) // 2)
        rows, columns = (range(at // stride, at // stride + side) for at, side in zip((top, left), size, strict=True))
        maps = [
            coordinate_noise.uniform(
                rows, columns, stream=number + COARSE_STREAM * part, seed=seed, device=padded.device
            )
            for part in range(channels)
        ]
        return torch.stack(maps)[None]

    exact = padded.device.type == "cpu" and not cpu_computes_bfloat16()
    with torch.autocast(padded.device.type, torch.bfloat16, enabled=not exact):
        height, color = network(shares, torch.tensor([scale], device=padded.device), noise)
    return height[0, 0], None if color is None else color[0].permute(1, 2, 0)


def _shares(padded: Tensor, count: int, window: tuple[slice, slice]) -> Tensor:
    """Shares [1, classes, h, w] of a window, softened across its borders as inside."""
    margin = SOFT_EDGE_PX // 2
    places = [
        torch.arange(part.start - margin, part.stop + margin, device=padded.device).clamp(0, side - 1)
        for part, side in zip(window, padded.shape, strict=True)
    ]
    shares = class_shares(padded[places[0][:, None], places[1][None]].long()[None], count)
    inner = shares[..., margin : shares.shape[2] - margin, margin : shares.shape[3] - margin]
    return inner.contiguous(memory_format=torch.channels_last)
