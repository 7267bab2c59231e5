"""Which textures are solved one after another, from photographs how much reduced, and in how many blocks: by size and memory.

Numbers only: nothing here reads a photograph or a mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.ops.texels.observations import Loss
from shared.catalog.scan_texture import ScanTextureParams
from shared.errors import OutOfMemory

# Bytes a texel while it is solved: eight planes, the texture, both with their mips, charts; and of what is handed back.
SOLVED_BYTES, MADE_BYTES = 76, 12
# The same on a card, of every texture while photographs are taken in, and of the one that is solved beside it
CARD_BYTES, CARD_SOLVING_BYTES = 76, 120
CARD_SHARE, CARD_SOLVING_SHARE = 0.48, 0.9  # of its budget for them; stacks.py plans with the rest
FIXED_BYTES = 400 << 20  # interpreter, torch, compiled loops, strips, the cache of small scans
PHOTOGRAPH_BYTES = 12  # a pixel: one being decoded, one in work, one undistorted, as 8 bits and a little
MOST_AT_ONCE = 8192  # texels a side; larger ones gain nothing by being solved as a whole
SMALLEST_SIDE = 64
SURVEY_SIDE = 320  # px of a photograph in the first look
BLOCK_PASSES = 2
LEAST_PHOTOGRAPH = 40  # px of a reduced photograph's shorter side
TURNS = {
    16: 8,
    8: 8,
    4: 6,
    2: 3,
}  # passes of a coarse level, each brings photographs nearer; a pass costs 1 / reduction²


@dataclass(frozen=True)
class Level:
    """One size: its passes' losses, and how many times photographs are reduced."""

    size: int
    reduction: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True)
class Plan:
    """live: levels solved as a whole, coarse to fine. block_side: 0 where the last of them is the texture itself, else the
    most texels of a side of the blocks that it is then solved in."""

    size: int
    largest_live: int
    block_side: int


def memory_plan(
    params: ScanTextureParams, tiles: int, photograph_pixels: int, available_bytes: int, card_bytes: int | None = None
) -> Plan:
    """card_bytes: what may be planned with of the card that the textures are solved on, None on the CPU. Raises OutOfMemory
    where not even blocks fit, with the largest size that does."""
    limit = int(params.memory_limit * 2**30) or int(0.8 * available_bytes)
    if not limit and card_bytes is None:
        return Plan(params.size, min(params.size, MOST_AT_ONCE), 0)
    limit = limit or 1 << 62  # nobody says
    base = FIXED_BYTES + PHOTOGRAPH_BYTES * photograph_pixels

    def fits(size: int, live: int) -> bool:
        """Whether a texture of this size can be made while `live` texels a side are solved."""
        return held(1, live) and base + tiles * size**2 * MADE_BYTES + live**2 * SOLVED_BYTES <= limit

    def held(count: int, side: int) -> bool:
        """Whether the card holds so many textures of this side, of which one after the other is solved."""
        if card_bytes is None:
            return True
        taken = count * side**2 * CARD_BYTES
        return (
            taken <= CARD_SHARE * card_bytes and taken + side**2 * CARD_SOLVING_BYTES <= CARD_SOLVING_SHARE * card_bytes
        )

    size = params.size
    if size <= MOST_AT_ONCE and held(tiles, size) and base + tiles * size**2 * SOLVED_BYTES <= limit:
        return Plan(size, size, 0)
    live = next((side for side in (4096, 2048, 1024, 512) if side < size and fits(size, side)), 0)
    if live:
        together = live
        while tiles * together**2 > live**2:
            together //= 2
        return Plan(size, max(together, SMALLEST_SIDE), live)
    smaller = next(
        (side for side in (8192, 4096, 2048, 1024, 512, 256) if side < size and fits(side, min(side, 512))), 0
    )
    raise OutOfMemory(
        f"A texture of {size} texels per side{f' in {tiles} tiles' if tiles > 1 else ''} does not fit into the "
        f"{min(limit, card_bytes or limit) / 2**30:.1f} GiB of memory available.",
        hint=f"Use size {smaller} or less." if smaller else "Close other programs, or use smaller photographs.",
        field="size",
    )


def survey_reduction(width: int, height: int) -> int:
    """How many times a photograph is reduced in the first look."""
    reduction = 1
    while max(width, height) // reduction > SURVEY_SIDE and min(width, height) // (2 * reduction) >= 16:
        reduction *= 2
    return reduction


def levels(params: ScanTextureParams, largest: int, footprint: float, sides: Sequence[int]) -> list[Level]:
    """Coarse to fine up to `largest` texels. footprint: UV units that a typical pixel of a full photograph spans;
    sides: the photographs' shorter sides.

    Photographs reduced r times are solved on a texture whose texels are as wide as their pixels: poses that are many pixels
    off are few of those. Where the texture is finer than the photographs, one level more leads to it.
    """
    robust = robust_loss(params)
    aligned = params.alignment != "none"
    made: list[Level] = []
    for reduction in TURNS:
        size = min(round(1.0 / (footprint * reduction) / 8) * 8, largest)
        if size < SMALLEST_SIDE or min(sides) // reduction < LEAST_PHOTOGRAPH or 2 * size > 3 * largest:
            continue
        if reduction < 4 and not aligned and made:
            continue  # the coarsest is enough to start from
        losses: tuple[Loss, ...] = (robust,) * (TURNS[reduction] if aligned else 1)
        made.append(Level(size, reduction, losses if made else ("l2", *losses)))
    finest = 1.0 / footprint
    if largest > 1.5 * finest and round(finest) >= SMALLEST_SIDE:
        made.append(Level(round(finest / 8) * 8, 1, (robust,) if made else ("l2", robust)))
    last: tuple[Loss, ...] = (robust,) * params.passes
    made.append(Level(largest, _reduction(largest, footprint, min(sides)), last if made else ("l2", *last)))
    return made


def block_level(params: ScanTextureParams, footprint: float, sides: Sequence[int]) -> Level:
    """The passes over each block of a texture that is too large as a whole."""
    losses: tuple[Loss, ...] = (robust_loss(params),) * BLOCK_PASSES
    return Level(params.size, _reduction(params.size, footprint, min(sides)), losses)


def robust_loss(params: ScanTextureParams) -> Loss:
    """The solver's name for what becomes of outliers."""
    return "l2" if params.robustness == "none" else params.robustness


def _reduction(size: int, footprint: float, least_side: int) -> int:
    """The largest power of two by which photographs can shrink without pixels wider than half a texel becoming wider than one."""
    reduction = 1
    while 2 * reduction * footprint * size <= 1.0 and least_side // (2 * reduction) >= 32 and reduction < 8:
        reduction *= 2
    return reduction
