"""Claim: on a real capture, held-out views come out better than with Open3D and averaging, and nearly as sharp as photographs.

Fourteen photographs of 1920 x 1080 of the capture "bloster"; two are held out at a time, turn about, until each has been.
The mesh has no UVs: all methods get the same ones, from xatlas, and a texture of 2048². Each held-out view is rendered by
the same rasteriser, four looks a pixel, and brought to its photograph by one gain a channel, for every method alike;
counted are the pixels whose surface at least one of the twelve others has seen. PSNR and an LPIPS-like distance
(benchmarks/perceptual.py) must be better than both peers' in the mean; sharpness is the energy of the Laplacian of grey
against the photograph's. Poses and depths of the capture are off by about ten pixels, those of the held-out views as well:
so everything is measured a second time with the view's camera turned to where the rendering fits its photograph best, for every
method alike. Needs the capture and the features beside the repository (../shared/data) or --data.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks import scan_quality
from benchmarks.bloster_capture import HEIGHT, PHOTOGRAPHS, WIDTH, intrinsics, poses
from benchmarks.bloster_capture import MESH as MESH_FILE
from benchmarks.machine import describe_machine, print_machine, save_result
from benchmarks.peers import open3d_albedo
from benchmarks.peers.averaging import average
from shared.arrays import MESH, PHOTOGRAPH, Array
from shared.cameras.camera import Camera, to_array

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIZE, LOOKS = 2048, 2
SEEN_WITHIN = 0.01  # of the depth: how near a surface must be to the one that another photograph sees
SHARP = 0.8
MOST_SHIFT_PX = 40
MEASURES = ("psnr", "distance", "sharpness", "turned_psnr", "turned_distance", "turned_sharpness", "seconds")


@dataclass(frozen=True, kw_only=True)
class Capture:
    """mesh: float32 [N, 3, 5] with UVs; photographs: uint8 [V, H, W, 3] and the files they came from."""

    mesh: np.ndarray
    cameras: tuple[Camera, ...]
    photographs: np.ndarray
    files: tuple[bytes, ...]


@dataclass(frozen=True)
class HeldOut:
    """A photograph [H, W, 3] 0..1, where its pixels look (LOOKS times as fine), and which pixels count."""

    camera: Camera
    photograph: np.ndarray
    uv: np.ndarray
    mask: np.ndarray


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when ours is better than both peers on each measure and sharp, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench scan-bloster", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with scans/bloster and features")
    parser.add_argument("--pairs", type=int, default=7, help="how many of the seven pairs are held out (default: 7)")
    parser.add_argument("--size", type=int, default=SIZE, help=f"side of the texture (default: {SIZE})")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of the first pair's views by each method")
    options = parser.parse_args(argv)
    if not (options.data / "scans" / "bloster").is_dir():
        print(f"There is no folder {options.data / 'scans' / 'bloster'}; --data names the folder that holds scans.")
        return 2
    if not open3d_albedo.is_installed():
        print("Open3D is missing: install the group peers of pyproject.toml.")
        return 2
    from benchmarks.perceptual import PerceptualDistance

    machine = describe_machine()
    print_machine(machine)
    distance, capture = PerceptualDistance(options.data / "features"), load(options.data / "scans" / "bloster")
    rows = []
    for pair in range(options.pairs):
        held = (pair, pair + 7)
        rows += measure(capture, held, options.size, distance, options.pictures if pair == 0 else None)
    mean = {name: _mean([row for row in rows if row["method"] == name]) for name in ("ours", "open3d", "averaging")}
    print(f"\nmean of {len(rows) // 3:<6}" + "".join(f"{name.replace('_', ' '):>17}" for name in MEASURES))
    for name, values in mean.items():
        print(f"{name:<14}" + "".join(f"{values[key]:>17.4f}" for key in MEASURES))
    peers = [mean["open3d"], mean["averaging"]]
    reached = (
        mean["ours"]["psnr"] > max(peer["psnr"] for peer in peers)
        and mean["ours"]["distance"] < min(peer["distance"] for peer in peers)
        and mean["ours"]["sharpness"] >= SHARP
    )
    result = {"size_px": options.size, "views": rows, "mean": mean, "target_sharpness": SHARP, "reached": reached}
    result["peers"] = {"open3d": open3d_albedo.version()}
    print(f"\n{save_result('scan-bloster', result, machine).name}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


def load(folder: Path) -> Capture:
    """The capture as it lies in ../shared/data/scans/bloster, its mesh with UVs of xatlas."""
    from backend.files.meshes import reading, unwrapping

    mesh = unwrapping.unwrap(reading.read(folder / MESH_FILE).values, size=SIZE)
    fx, fy, cx, cy = intrinsics(folder)
    cameras = [
        Camera(
            name=name,
            width=WIDTH,
            height=HEIGHT,
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy,
            rotation=rotation,
            translation=translation,
        )
        for name, (rotation, translation) in poses(folder).items()
    ]
    files = [(folder / PHOTOGRAPHS / camera.name).read_bytes() for camera in cameras]
    photographs = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
    return Capture(mesh=mesh, cameras=tuple(cameras), photographs=photographs, files=tuple(files))


def measure(
    capture: Capture, held: tuple[int, ...], size: int, distance: Callable[..., float], pictures: Path | None
) -> list[dict[str, Any]]:
    """One fold: each method's texture from the photographs that are not held out, judged on those that are."""
    used = [view for view in range(len(capture.cameras)) if view not in held]
    judged = [hold_out(capture, view, used) for view in held]
    rows = []
    for name, texture, seconds in textures(capture, used, size):
        texture = scan_quality.as_float(texture)
        for view, truth in zip(held, judged, strict=True):
            rendered = equal_gain(scan_quality.render(texture, truth.uv, LOOKS), truth)
            row = judge(rendered, truth, distance) | {"method": name, "view": view, "seconds": seconds}
            turned, shift = turn(capture.mesh, texture, rendered, truth)
            row |= {f"turned_{key}": value for key, value in judge(turned, truth, distance).items()} | {
                "shift_px": shift
            }
            rows.append(row)
            print(
                f"view {view:>2}  {name:<10}{row['psnr']:>8.2f} dB{row['distance']:>9.4f}{row['sharpness']:>7.2f}"
                f"   turned by"
                f" {shift[0]:+.1f} {shift[1]:+.1f} px:{row['turned_psnr']:>6.2f} dB{row['turned_distance']:>8.4f}{seconds:>8.1f} s",
                flush=True,
            )
            if pictures and view == held[0]:
                pictures.mkdir(parents=True, exist_ok=True)
                _save(pictures / f"bloster-{name}.png", np.where(truth.mask[..., None], rendered, 0.5))
                _save(pictures / "bloster-photograph.png", np.where(truth.mask[..., None], truth.photograph, 0.5))
    return rows


def textures(capture: Capture, used: list[int], size: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """Name, texture [size, size, 3] and seconds of each method."""
    cameras, photographs = [capture.cameras[view] for view in used], capture.photographs[used]
    images = [
        Array(PHOTOGRAPH, np.frombuffer(capture.files[view], np.uint8), {"name": capture.cameras[view].name})
        for view in used
    ]
    began = time.perf_counter()
    made = backend.run(
        "scan_texture",
        images=images,
        mesh=Array(MESH, capture.mesh),
        cameras=to_array(cameras),
        size=size,
        device="cpu",
    )
    yield "ours", made["texture"][0].values, time.perf_counter() - began
    yield ("open3d", *open3d_albedo.project_to_albedo(capture.mesh, cameras, photographs, size))
    began = time.perf_counter()
    maps = [surface(capture.mesh, camera) for camera in cameras]
    texture = average(photographs, [uv for uv, _, _ in maps], [np.maximum(facing, 0) for _, facing, _ in maps], size)
    yield "averaging", texture, time.perf_counter() - began


def surface(mesh: np.ndarray, camera: Camera, factor: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """UV (NaN where nothing or a back is seen), cosine of facing and depth, at factor times the photograph's resolution."""
    from backend.ops.surface import rasterization
    from backend.ops.tensors import as_tensor

    numbers = {name: getattr(camera, name) * factor for name in ("width", "height", "fx", "fy", "cx", "cy")}
    drawn = rasterization.draw(rasterization.project(as_tensor(mesh), dataclasses.replace(camera, **numbers)))
    uv, depth, facing = (values.numpy() for values in (drawn.uv, drawn.depth, drawn.facing))
    front = facing > 0
    return np.where(front[..., None], uv, np.nan), facing, np.where(front, depth, np.nan)


def hold_out(capture: Capture, view: int, used: list[int]) -> HeldOut:
    """The view's pixels count where one of the used photographs sees the same surface from its front."""
    camera = capture.cameras[view]
    uv, _, depth = surface(capture.mesh, camera)
    rows, columns = np.nonzero(np.isfinite(uv[..., 0]))
    z = depth[rows, columns].astype(np.float64)
    rays = np.stack(
        [(columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy, np.ones(len(z))], -1
    )
    places = (rays * z[:, None] - camera.translation) @ camera.rotation
    seen = np.zeros(len(z), bool)
    for other in used:
        seen |= _sees(capture, other, places)
    mask = np.zeros(depth.shape, bool)
    mask[rows, columns] = seen
    fine, _, _ = surface(capture.mesh, camera, LOOKS)
    blocks = np.isfinite(fine[..., 0]).reshape(HEIGHT, LOOKS, WIDTH, LOOKS).all((1, 3))
    return HeldOut(camera, scan_quality.as_float(capture.photographs[view]), fine, mask & blocks)


def _sees(capture: Capture, view: int, places: np.ndarray) -> np.ndarray:
    camera = capture.cameras[view]
    _, _, depth = surface(capture.mesh, camera)
    inside = places @ camera.rotation.T + camera.translation
    z = np.maximum(inside[:, 2], 1e-6)
    columns = np.floor(camera.fx * inside[:, 0] / z + camera.cx).astype(int)
    rows = np.floor(camera.fy * inside[:, 1] / z + camera.cy).astype(int)
    framed = (inside[:, 2] > 0) & (columns >= 0) & (columns < WIDTH) & (rows >= 0) & (rows < HEIGHT)
    there = depth[np.clip(rows, 0, HEIGHT - 1), np.clip(columns, 0, WIDTH - 1)]
    return framed & (np.abs(there - z) < SEEN_WITHIN * z)


def equal_gain(rendered: np.ndarray, truth: HeldOut) -> np.ndarray:
    """Times the gain a channel that fits the photograph best, in least squares over the pixels that count."""
    counted = truth.mask & np.isfinite(rendered[..., 0])
    made, wanted = rendered[counted].astype(np.float64), truth.photograph[counted].astype(np.float64)
    return (rendered * ((made * wanted).sum(0) / (made**2).sum(0))).astype(np.float32)


def turn(
    mesh: np.ndarray, texture: np.ndarray, rendered: np.ndarray, truth: HeldOut
) -> tuple[np.ndarray, tuple[float, float]]:
    """The view again with its principal point moved to where the rendering fits the photograph best, and by how much (x, y).

    Least squares of grey over whole pixels by correlation, pixels that do not count weighing nothing on either side.
    """
    mask = truth.mask.astype(np.float64)
    made, wanted = (
        np.where(truth.mask, np.nan_to_num(picture).mean(-1), 0.0) for picture in (rendered, truth.photograph)
    )
    shape = (2 * HEIGHT, 2 * WIDTH)
    spectra = {name: np.fft.rfft2(picture, shape) for name, picture in (
        ("mask", mask), ("made", made), ("made2", made**2), ("wanted", wanted), ("wanted2", wanted**2))}  # fmt: skip

    def correlated(fixed: str, moved: str) -> np.ndarray:
        return np.fft.irfft2(spectra[fixed] * spectra[moved].conj(), shape)

    common = np.maximum(correlated("mask", "mask"), 1.0)
    cost = (correlated("mask", "made2") - 2 * correlated("wanted", "made") + correlated("wanted2", "mask")) / common
    cost = np.roll(cost, (MOST_SHIFT_PX, MOST_SHIFT_PX), (0, 1))[: 2 * MOST_SHIFT_PX + 1, : 2 * MOST_SHIFT_PX + 1]
    row, column = np.unravel_index(np.argmin(cost), cost.shape)
    x, y = float(column - MOST_SHIFT_PX), float(row - MOST_SHIFT_PX)
    moved = dataclasses.replace(truth.camera, cx=truth.camera.cx + x, cy=truth.camera.cy + y)
    return equal_gain(scan_quality.render(texture, surface(mesh, moved, LOOKS)[0], LOOKS), truth), (x, y)


def judge(rendered: np.ndarray, truth: HeldOut, distance: Callable[..., float]) -> dict[str, float]:
    mask = truth.mask & np.isfinite(rendered[..., 0])
    return {
        "psnr": scan_quality.psnr(((rendered - truth.photograph)[mask] ** 2).mean()),
        "distance": distance(rendered, truth.photograph, mask),
        "sharpness": sharpness(rendered, truth.photograph, mask),
    }


def sharpness(rendered: np.ndarray, photograph: np.ndarray, mask: np.ndarray) -> float:
    """Energy of the five-point Laplacian of grey over that of the photograph, where the pixel and its neighbours count."""
    inner = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    energy = []
    for picture in (rendered, photograph):
        grey = picture.mean(-1)
        laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
        energy.append(float((laplacian[inner] ** 2).mean()))
    return energy[0] / energy[1]


def _mean(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in MEASURES}


def _save(path: Path, picture: np.ndarray) -> None:
    Image.fromarray((np.clip(np.nan_to_num(picture), 0, 1) * 255).astype(np.uint8)).save(path)


if __name__ == "__main__":
    raise SystemExit(main())
