"""The ground textures that ship, drawn by code: grass, rock, scree, sand and snow, each a tile with colour, height and roughness.

Everything is periodic: random waves are filtered in the frequency domain, blades and stones are drawn across the borders. The same
seed gives the same maps. No photograph enters. What terrains do with them is the add-on's business (blender_addon/writers/grounds).
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import KDTree

from shared import png
from shared.params import suggestion

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[1] / "shipped" / "grounds"
SIDE_PX = 512
DRAWN_PX = 1024  # drawn at twice the size and averaged: blades and the edges of stones are smooth
QUALITY = {"color": 86, "roughness": 70}  # of JPEG
HEIGHT_STEP = 16  # of 65535: heights ship with 12 bits, what is finer would double the file

Maps = dict[str, np.ndarray]
Rgb = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """tile_m: width of the tile. relief_m: from the lowest to the highest point of its height map. sight: how wide the tile may
    look from afar, over the distance: blades of grass would look like worms where a broken rock still looks like rock.
    """

    draw: Callable[[np.random.Generator], Maps]
    seed: int
    tile_m: float
    relief_m: float
    sight: float
    help: str


def make(name: str) -> Maps:
    """The maps of a ground, [SIDE_PX, SIDE_PX]: "color" [.., 3] in sRGB, "height" and "roughness", all 0..1, float64."""
    ground = GROUNDS[name]
    return {key: _halved(values) for key, values in ground.draw(np.random.default_rng(ground.seed)).items()}


# ---- what they are drawn with ----


def waves(rng: np.random.Generator, wavelength_px: float, *, slope: float = 2.0, stretch: float = 1.0) -> np.ndarray:
    """Periodic random waves [DRAWN_PX, DRAWN_PX] of mean 0 and deviation 1.

    wavelength_px: the longest waves. slope: of the amplitude over frequency, 1 rough, 3 smooth. stretch: how much longer waves are
    along x than along y.
    """
    v, u = np.meshgrid(np.fft.fftfreq(DRAWN_PX), np.fft.rfftfreq(DRAWN_PX), indexing="ij")
    frequency = np.hypot(u * stretch, v) * wavelength_px
    spectrum = np.fft.rfft2(rng.standard_normal((DRAWN_PX, DRAWN_PX)))
    made = np.fft.irfft2(
        spectrum * np.where(frequency < 1.0, frequency**4, np.maximum(frequency, 1e-9) ** -slope), (DRAWN_PX, DRAWN_PX)
    )
    return (made - made.mean()) / made.std()


def blurred(values: np.ndarray, sigma_px: float) -> np.ndarray:
    return ndimage.gaussian_filter(values, sigma_px, mode="wrap")


def unit(values: np.ndarray) -> np.ndarray:
    """Stretched to 0..1; the thousandth at either end is cut off."""
    low, high = np.quantile(values, (0.001, 0.999))
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def mixed(share: np.ndarray, below: Rgb | np.ndarray, above: Rgb | np.ndarray) -> np.ndarray:
    """Colours [H, W, 3]."""
    return np.asarray(below) + (np.asarray(above) - np.asarray(below)) * share[..., None]


def hollows(height: np.ndarray, sigmas_px: Sequence[float], depth: float) -> np.ndarray:
    """How much light reaches each place, 0..1: less where the surroundings are higher."""
    dark = sum(np.maximum(blurred(height, sigma) - height, 0.0) for sigma in sigmas_px) / len(sigmas_px)
    return np.exp(-depth * dark)


def moved(values: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The map looked up at places moved by so many pixels."""
    y, x = np.mgrid[0:DRAWN_PX, 0:DRAWN_PX].astype(np.float64)
    return ndimage.map_coordinates(values, [y + down, x + across], order=1, mode="grid-wrap")


def blocks(rng: np.random.Generator, cells: int, warp_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a periodic Voronoi diagram with warped borders: distance to the border in cell widths, and the height of a tilted
    plane in each, about -1..1.
    """
    points = rng.uniform(0.0, 1.0, (cells, 2))
    bend = [waves(rng, 220.0, slope=1.7) * warp_px / DRAWN_PX for _ in range(2)]
    y, x = (np.mgrid[0:DRAWN_PX, 0:DRAWN_PX] + 0.5) / DRAWN_PX
    places = np.stack([(x + bend[0]) % 1.0, (y + bend[1]) % 1.0], axis=-1).reshape(-1, 2)
    far, index = KDTree(points, boxsize=1.0).query(places, k=2)
    own = np.asarray(index, np.int64)[:, 0]
    off = (places - points[own] + 0.5) % 1.0 - 0.5
    tilt, level = rng.normal(0.0, 1.3, (cells, 2)), rng.uniform(-0.5, 0.5, cells)
    plane = level[own] + (off * tilt[own]).sum(axis=1) * np.sqrt(cells)
    edge = (far[:, 1] - far[:, 0]) * np.sqrt(cells)
    return edge.reshape(DRAWN_PX, DRAWN_PX), plane.reshape(DRAWN_PX, DRAWN_PX)


def stones(rng: np.random.Generator, count: int, radii_px: tuple[float, float], maps: Maps, lift: float) -> None:
    """Lays angular stones into maps "height" (px), "tint" and "facet", the large ones last; each is a cut convex body."""
    low, high = radii_px
    radii = np.sort(low * (high / low) ** (rng.uniform(0.0, 1.0, count) ** 1.7))
    for radius in radii:
        _stone(rng, float(radius), maps, lift)


def _stone(rng: np.random.Generator, radius: float, maps: Maps, lift: float) -> None:
    reach = int(np.ceil(radius * 1.6))
    x0, y0 = rng.uniform(0.0, DRAWN_PX, 2)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    at = ((rows + int(y0)) % DRAWN_PX, (columns + int(x0)) % DRAWN_PX)
    dx, dy = columns - x0 % 1.0, rows - y0 % 1.0
    sides = rng.integers(5, 9)
    turn = rng.uniform(0.0, 2 * np.pi) + (np.arange(sides) + rng.uniform(-0.32, 0.32, sides)) * 2 * np.pi / sides
    out = radius * rng.uniform(0.62, 1.0, sides)
    steep = rng.uniform(0.7, 2.2, sides)
    inside = np.full(dx.shape, np.inf)
    body = np.full(dx.shape, np.inf)
    facet = np.zeros(dx.shape)
    for angle, distance, rise in zip(turn, out, steep, strict=True):
        depth = distance - (dx * np.cos(angle) + dy * np.sin(angle))
        inside = np.minimum(inside, depth)
        facet = np.where(depth * rise < body, np.cos(angle - 2.2), facet)
        body = np.minimum(body, depth * rise)
    lean = rng.uniform(-0.35, 0.35, 2)
    top = radius * rng.uniform(0.35, 0.7) + dx * lean[0] + dy * lean[1]
    facet = np.where(top < body, 0.25 * (lean[0] - lean[1]), facet)
    raised = np.minimum(body, top) + lift * blurred_at(maps["height"], at)
    seen = (inside > 0.0) & (raised > maps["height"][at])
    where = (at[0][seen], at[1][seen])
    maps["height"][where] = raised[seen]
    maps["tint"][where] = rng.normal()
    maps["facet"][where] = facet[seen]


def blurred_at(height: np.ndarray, at: tuple[np.ndarray, np.ndarray]) -> float:
    """The ground that a stone lies on: the median of what it covers."""
    return float(np.median(height[at]))


def _halved(values: np.ndarray) -> np.ndarray:
    side = len(values) // 2
    return values.reshape(side, 2, side, 2, *values.shape[2:]).mean(axis=(1, 3))


# ---- the grounds ----


def grass(rng: np.random.Generator) -> Maps:
    """Blades seen from above: tufts of one direction, old straw below, fresh tips on top."""
    growth = unit(waves(rng, 120.0, slope=1.4))
    lie = [waves(rng, 260.0, slope=2.0), waves(rng, 260.0, slope=2.0)]
    height = 0.12 * unit(waves(rng, 20.0, slope=1.0))
    color = mixed(unit(waves(rng, 24.0, slope=1.0)), (0.16, 0.14, 0.08), (0.30, 0.25, 0.15))
    count = 15000
    x, y = rng.uniform(0, DRAWN_PX, (2, count))
    lush = growth[y.astype(int), x.astype(int)]
    kept = rng.uniform(0, 1, count) < 0.4 + 0.6 * lush
    x, y, lush = x[kept], y[kept], lush[kept]
    count = len(x)
    common = np.arctan2(lie[1][y.astype(int), x.astype(int)], lie[0][y.astype(int), x.astype(int)])
    angle = common + rng.normal(0.0, 0.75, count)
    length = rng.uniform(22, 62, count) * (0.6 + 0.6 * lush)
    bend = rng.normal(0.0, 0.9, count)
    dry = np.clip(rng.normal(0.30, 0.25, count) + 0.35 * (0.5 - lush), 0, 1) ** 1.5
    tone = rng.normal(0.0, 1.0, count)
    along = np.linspace(0.0, 1.0, 96)[None, :]
    turn = angle[:, None] + bend[:, None] * along
    px = x[:, None] + length[:, None] / 96 * np.cumsum(np.cos(turn), axis=1)
    py = y[:, None] + length[:, None] / 96 * np.cumsum(np.sin(turn), axis=1)
    top = (0.25 + 0.75 * rng.uniform(0, 1, count)[:, None]) * np.sin(np.pi * np.clip(along * 0.85 + 0.05, 0, 1))
    top = top * (0.5 + 0.5 * lush[:, None])
    wide = 2.6 * (1.0 - along) ** 0.6 + 0.4
    layers = []
    for side in np.linspace(-1.0, 1.0, 5):
        sx, sy = px - np.sin(turn) * side * wide, py + np.cos(turn) * side * wide
        rib = 1.0 - 0.28 * abs(side) if side < 0 else 1.0 - 0.08 * side
        layers.append((sx, sy, top - 0.03 * abs(side), np.full_like(px, rib)))
    sx, sy, z, shade = (np.stack([layer[k] for layer in layers]).ravel() for k in range(4))
    blade = np.broadcast_to(np.arange(count)[None, :, None], (5, count, 96)).ravel()
    part = np.broadcast_to(along, (5, count, 96)).ravel()
    order = np.argsort(z, kind="stable")
    rows, columns = sy[order].astype(int) % DRAWN_PX, sx[order].astype(int) % DRAWN_PX
    blade, part, z, shade = blade[order], part[order], z[order], shade[order]
    green = mixed(0.25 + 0.75 * part, (0.17, 0.24, 0.08), (0.42, 0.50, 0.19))
    straw = mixed(part, (0.42, 0.36, 0.20), (0.66, 0.58, 0.36))
    paint = mixed(dry[blade], green, straw) * (shade * (1.0 + 0.16 * tone[blade]))[:, None]
    height[rows, columns] = z
    color[rows, columns] = paint
    light = hollows(height, (3.0, 9.0), 3.4)
    return {
        "color": np.clip(color * light[..., None] * 1.2, 0.0, 1.0),
        "height": unit(blurred(height, 1.0)),
        "roughness": 0.62 + 0.25 * (1.0 - light),
    }


def rock(rng: np.random.Generator) -> Maps:
    """A broken face: tilted blocks with smaller chips in them, cracks between, a rough skin, stains and some lichen."""
    edge, block = blocks(rng, 22, 34.0)
    chip_edge, chip = blocks(rng, 170, 16.0)
    _, fine = blocks(rng, 1100, 6.0)
    bulk, skin = waves(rng, 200.0, slope=1.9), waves(rng, 40.0, slope=1.0)
    ridged = -np.abs(waves(rng, 110.0, slope=1.4))
    height = 0.62 * block + 0.36 * chip + 0.13 * fine + 0.10 * bulk + 0.16 * ridged + 0.035 * skin
    height -= 0.55 * np.exp(-((edge / 0.07) ** 2)) + 0.16 * np.exp(-((chip_edge / 0.10) ** 2))
    height = unit(height)
    mottle, grain = waves(rng, 130.0, slope=1.4), waves(rng, 6.0, slope=0.7)
    color = mixed(step(mottle + 0.7 * chip + 0.5 * block, -2.0, 2.0), (0.40, 0.375, 0.345), (0.58, 0.555, 0.52))
    stain = step(waves(rng, 120.0, slope=1.5) + 0.5 * skin, 0.8, 2.2)
    color = mixed(0.4 * stain, color, (0.52, 0.42, 0.31))
    lichen = step(waves(rng, 80.0, slope=1.2) + 0.6 * waves(rng, 12.0, slope=0.8), 1.6, 2.3) * step(height, 0.35, 0.6)
    color = mixed(0.5 * lichen, color, (0.66, 0.66, 0.54))
    light = hollows(height, (3.0, 9.0, 26.0), 5.0)
    color = color * (1.0 + 0.06 * grain + 0.05 * skin + 0.10 * fine + 0.04 * (chip_edge < 0.05))[..., None]
    return {
        "color": np.clip(color * light[..., None] * 1.1, 0.0, 1.0),
        "height": height,
        "roughness": np.clip(0.76 + 0.04 * grain + 0.10 * lichen - 0.08 * chip, 0.4, 1.0),
    }


def scree(rng: np.random.Generator) -> Maps:
    """Broken stones of many sizes on grit, the large ones on top."""
    maps = {
        "height": 5.0 * unit(waves(rng, 90.0, slope=1.8)) + 1.5 * unit(waves(rng, 5.0, slope=0.6)),
        "tint": waves(rng, 5.0, slope=0.6) * 0.7,
        "facet": 0.3 * waves(rng, 4.0, slope=0.5),
    }
    stones(rng, 9000, (4.0, 9.0), maps, 0.45)
    stones(rng, 2600, (9.0, 24.0), maps, 0.55)
    stones(rng, 330, (24.0, 58.0), maps, 0.6)
    height = blurred(maps["height"], 0.8)
    skin = waves(rng, 14.0, slope=0.9)
    height = unit(height + 0.5 * skin)
    warm = step(maps["tint"] + 0.5 * waves(rng, 60.0, slope=1.4), -1.2, 2.4)
    color = mixed(warm, (0.40, 0.385, 0.37), (0.62, 0.575, 0.51))
    color = color * (1.0 + 0.09 * maps["tint"] + 0.10 * maps["facet"] + 0.05 * skin)[..., None]
    light = hollows(unit(maps["height"]), (3.0, 8.0, 20.0), 6.0)
    return {
        "color": np.clip(color * light[..., None] * 1.12, 0.0, 1.0),
        "height": height,
        "roughness": np.clip(0.80 + 0.04 * maps["tint"] + 0.04 * skin, 0.5, 1.0),
    }


def sand(rng: np.random.Generator) -> Maps:
    """Wind ripples that fork and fade, grains of several minerals, a few small stones."""
    y, x = np.mgrid[0:DRAWN_PX, 0:DRAWN_PX] / DRAWN_PX
    bend = 0.42 * waves(rng, 300.0, slope=3.4) + 0.04 * waves(rng, 90.0, slope=3.0)
    phase = 2 * np.pi * (22 * y + 3 * x + 0.85 * bend)
    ripple = np.sin(phase + 0.55 * np.sin(phase))  # steep to one side
    power = 0.35 + 0.65 * unit(waves(rng, 300.0, slope=2.0))
    grain = waves(rng, 3.2, slope=0.4)
    maps = {
        "height": 7.0 * ripple * power + 3.0 * waves(rng, 300.0, slope=2.4) + 0.5 * grain,
        "tint": 0.3 * grain,
        "facet": np.zeros_like(x),
    }
    before = maps["height"].copy()
    maps["height"] += 40.0
    stones(rng, 26, (3.5, 9.0), maps, 0.95)
    is_stone = blurred((maps["height"] - 40.0 - before > 0.01).astype(float), 0.7)
    height = unit(blurred(maps["height"], 0.9))
    dark = step(grain + 0.4 * waves(rng, 2.4, slope=0.2), 1.6, 2.6)
    color = mixed(
        step(0.8 * ripple * power + 0.7 * waves(rng, 260.0), -1.8, 1.8), (0.70, 0.60, 0.45), (0.83, 0.74, 0.58)
    )
    color = mixed(0.45 * dark, color, (0.45, 0.36, 0.27))
    color = color * (1.0 + 0.045 * grain)[..., None]
    color = mixed(
        0.8 * is_stone, color, mixed(unit(maps["tint"] + 0.3 * maps["facet"]), (0.40, 0.36, 0.31), (0.68, 0.63, 0.56))
    )
    light = hollows(height, (3.0, 10.0), 1.6)
    return {
        "color": np.clip(color * light[..., None], 0.0, 1.0),
        "height": height,
        "roughness": np.clip(0.88 - 0.05 * grain * 0.3 - 0.15 * is_stone, 0.4, 1.0),
    }


def snow(rng: np.random.Generator) -> Maps:
    """Wind-packed snow: drifts with sharp crests across the wind, a crust of grains."""
    drift = waves(rng, 300.0, slope=2.6, stretch=0.7)
    ridges = waves(rng, 230.0, slope=2.7, stretch=0.45)
    ridges = -np.sqrt(moved(ridges, 26.0 * drift, 18.0 * drift) ** 2 + 0.02)
    crust, grain = waves(rng, 22.0, slope=1.6), waves(rng, 2.6, slope=0.3)
    height = unit(0.8 * drift + 0.8 * ridges + 0.05 * crust + 0.012 * grain)
    light = hollows(height, (6.0, 24.0), 1.1)
    color = mixed(step(light + 0.012 * crust, 0.86, 1.0), (0.84, 0.88, 0.93), (0.955, 0.965, 0.975))
    color = color * (1.0 + 0.012 * grain + 0.008 * crust)[..., None]
    return {
        "color": np.clip(color, 0.0, 1.0),
        "height": blurred(height, 0.8),
        "roughness": np.clip(0.58 + 0.10 * (1.0 - light) + 0.05 * grain, 0.3, 1.0),
    }


GROUNDS: Mapping[str, Ground] = {
    "grass": Ground(draw=grass, seed=3, tile_m=2.0, relief_m=0.14, sight=0.08, help="grass, tufts with old straw"),
    "rock": Ground(draw=rock, seed=5, tile_m=5.0, relief_m=0.7, sight=0.3, help="a broken rock face"),
    "scree": Ground(draw=scree, seed=7, tile_m=3.5, relief_m=0.28, sight=0.1, help="broken stones on grit"),
    "sand": Ground(draw=sand, seed=11, tile_m=2.5, relief_m=0.05, sight=0.12, help="wind ripples in sand"),
    "snow": Ground(draw=snow, seed=13, tile_m=6.0, relief_m=0.22, sight=0.25, help="wind-packed snow"),
}


def write(folder: Path, name: str, maps: Mapping[str, np.ndarray]) -> None:
    """JPEG for colour and roughness, PNG of 16 bits for the height, and what they are as JSON."""
    ground = GROUNDS[name]
    for key, quality in QUALITY.items():
        image = Image.fromarray(np.rint(np.clip(maps[key], 0.0, 1.0) * 255.0).astype(np.uint8))
        image.save(folder / f"{name}-{key}.jpg", quality=quality, optimize=True, subsampling=0)
    steps = (
        np.rint(np.clip(maps["height"], 0.0, 1.0) * (65535 / HEIGHT_STEP))
        .clip(max=65535 // HEIGHT_STEP)
        .astype(np.uint16)
    )
    (folder / f"{name}-height.png").write_bytes(png.encoded(steps * np.uint16(HEIGHT_STEP), level=9))
    about = {
        "help": ground.help,
        "seed": ground.seed,
        "tile_m": ground.tile_m,
        "relief_m": ground.relief_m,
        "sight": ground.sight,
    }
    (folder / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the grounds that ship: some seconds each."""
    parser = argparse.ArgumentParser(
        prog="relievo.py train ground-textures", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(GROUNDS)} [default: all]")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder [default: where they ship]")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in GROUNDS]
    if unknown:
        parser.error(f"there is no ground {unknown[0]!r}; {suggestion(unknown[0], GROUNDS)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or GROUNDS:
        log.info("drawing %s", name)
        write(options.out, name, make(name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
