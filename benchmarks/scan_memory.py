"""Claim: a 4096² texture from 100 photographs of 12 megapixels takes at most 1.5 GiB, and a pass over them 25 Mpx/s and more.

The photographs are the mesh of benchmarks/scan_scene.py, drawn by the project's rasteriser with the known texture on it
and written as JPEG files; quality is not judged here. A fresh process reads mesh, cameras and photographs as the command
line does, computes, and its peak resident memory comes from the operating system, mapped files included. A small run before it
leaves the compiled loops on disk, as every user's first run does: the compiler's own memory is not the scan's. The pass is timed
apart, in this process: drawing the mesh, weights, and the normal equations of decoded photographs; decoding is a figure of its own.

All of it takes about a second a photograph to make them once, and some five seconds of processor time a photograph to solve.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import backend  # noqa: F401 - before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks import scan_quality, scan_scene, scan_surface
from benchmarks.machine import describe_machine, print_machine, save_result, time_once

WIDTH, HEIGHT, FOCAL_PX = 4000, 3000, 4400.0
SIZE, COUNT = 4096, 100
MOST_GIB, LEAST_MPX_S = 1.5, 25.0
CHILD = """
import json, sys, time
from pathlib import Path
import numpy as np
import backend
from shared.arrays import CAMERAS, MESH, PHOTOGRAPH, Array
folder, size, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
paths = sorted(folder.glob("*.jpg"))[:count]
images = tuple(Array(PHOTOGRAPH, np.memmap(path, np.uint8, "r"), {"name": path.name}) for path in paths)
cameras = Array(CAMERAS, np.load(folder / "cameras.npy")[:count], {"names": [path.name for path in paths]})
stages, began = {}, time.perf_counter()
def progress(done, total, stage, remaining):
    stages[stage] = time.perf_counter() - began
made = backend.run("scan_texture", images=images, mesh=Array(MESH, np.load(folder / "mesh.npy")), cameras=cameras,
                   size=size, device="cpu", on_progress=progress)
seconds = time.perf_counter() - began
status = Path("/proc/self/status")
if status.exists():  # getrusage would tell the parent's peak where that is higher: it outlives an exec after vfork
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    peak = int(line.split()[1]) * 1024
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes
print(json.dumps({"peak_bytes": peak, "seconds": seconds, "stages": stages,
                  "mean": float(made["texture"][0].values.mean())}))
"""


def main(argv: list[str] | None = None) -> int:
    """Print and keep peak and throughput; 0 when both hold, else 1."""
    parser = argparse.ArgumentParser(prog="relievo.py bench scan-memory", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=SIZE, help=f"side of the texture (default: {SIZE})")
    parser.add_argument("--photographs", type=int, default=COUNT, help=f"how many, 2 or more (default: {COUNT})")
    parser.add_argument("--pass-photographs", type=int, default=8, help="how many the timed pass reads (default: 8)")
    parser.add_argument("--only-pass", action="store_true", help="time the pass only; nothing is kept")
    options = parser.parse_args(argv)
    if sys.platform == "win32":
        print("Peak memory is read with getrusage, which Windows does not have.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    folder = photographs(options.photographs)
    speed = time_pass(folder, options.size, min(options.pass_photographs, options.photographs - 1))
    print(
        f"a pass: {speed['mpx_per_s']:.1f} Mpx/s of {LEAST_MPX_S:g} ({speed['surface_mpx_per_s']:.1f} on the surface),"
        f" {speed['processor_ns_per_px']:.0f} ns of CPU time per pixel; JPEG decoding {speed['decoding_mpx_per_s']:.1f} Mpx/s"
    )
    if options.only_pass:
        return 0
    solve_apart(folder, 512, 3)
    measured = solve_apart(folder, options.size, options.photographs)
    peak_gib = measured["peak_bytes"] / 2**30
    reached = peak_gib <= MOST_GIB and speed["mpx_per_s"] >= LEAST_MPX_S
    print(
        f"{options.size}², {options.photographs} photographs: peak {peak_gib:.2f} GiB of {MOST_GIB}, {measured['seconds']:.0f} s"
    )
    result: dict[str, Any] = {
        "size_px": options.size, "photographs": options.photographs, "megapixels": WIDTH * HEIGHT / 1e6,
        "peak_gib": peak_gib, "target_gib": MOST_GIB, "seconds": measured["seconds"], "stages": measured["stages"],
        "pass": speed, "target_mpx_per_s": LEAST_MPX_S, "reached": reached,
    }  # fmt: skip
    print(f"{save_result('scan-memory', result, machine).name}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


def solve_apart(folder: Path, size: int, count: int) -> dict[str, Any]:
    """A texture of `size` texels from `count` photographs in a process of its own: peak_bytes, seconds, stages."""
    command = [sys.executable, "-c", CHILD, str(folder), str(size), str(count)]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the process that computes ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def photographs(count: int) -> Path:
    """A folder with mesh.npy, cameras.npy and photographs as JPEG files; made where they are missing, about a second each."""
    import torch

    from backend.ops.surface import rasterization
    from shared.cameras.camera import to_array

    folder = Path(tempfile.gettempdir()) / "relievo-benchmarks" / f"twelve-megapixels-{WIDTH}x{HEIGHT}"
    folder.mkdir(parents=True, exist_ok=True)
    cameras = scan_scene.orbit(COUNT, seed=5, width=WIDTH, height=HEIGHT, focal_px=FOCAL_PX)
    mesh = scan_surface.mesh()
    np.save(folder / "cameras.npy", to_array(cameras).values)
    np.save(folder / "mesh.npy", mesh)
    texture = None
    for index, camera in enumerate(cameras[:count]):
        path = folder / f"photograph_{index:03d}.jpg"
        if path.exists():
            continue
        if texture is None:
            texture = scan_quality.as_float(np.asarray(scan_scene.truth(1024)))
        seen = rasterization.draw(rasterization.project(torch.from_numpy(mesh), camera))
        pixels = np.nan_to_num(scan_quality.render(texture, seen.uv.numpy(), 1), nan=0.4)
        part = path.with_suffix(".part")
        Image.fromarray((pixels * 255 + 0.5).astype(np.uint8)).save(part, "JPEG", quality=92)
        part.rename(path)
    return folder


def time_pass(folder: Path, size: int, count: int) -> dict[str, float]:
    """Megapixels a second of the pipeline's own pass over `count` photographs: projecting, drawing and weighing the surface,
    and the normal equations, each pixel weighed by its residual as in the later passes. Decoding is timed apart.

    All pixels of the photographs count; those that show the surface are a second figure.
    """
    import torch

    from backend.algorithms.scan.sheets import Sheets, whole_tile
    from backend.algorithms.scan.views import ScanView, ViewStream
    from backend.files.photographs import decode
    from backend.ops.photos.view_weights import WeightSettings
    from backend.ops.surface import rasterization
    from shared.arrays import CAMERAS, PHOTOGRAPH, Array
    from shared.cameras.camera import from_array
    from shared.catalog.scan_texture import ScanTextureParams

    params = ScanTextureParams()
    settings = WeightSettings(params.view_angle_power, params.steepest_view, params.silhouette_px, params.border_px)
    mesh = torch.from_numpy(np.load(folder / "mesh.npy"))
    stream = ViewStream(mesh, None, settings, lambda: None, torch.device("cpu"))
    sheets = Sheets([whole_tile(1001, size)], torch.device("cpu"), area=True)
    sheets.sheets[0].texture = torch.full((3, size, size), 0.4)
    sheets.begin()
    spent, surface, one = {"decoding": 0.0, "pass": 0.0, "processor": 0.0}, 0, np.ones(3)
    cameras = from_array(Array(CAMERAS, np.load(folder / "cameras.npy")))
    for index in range(count + 1):  # the first one compiles and is not counted
        file = Array(PHOTOGRAPH, np.memmap(folder / f"photograph_{index:03d}.jpg", np.uint8, "r"), {"name": str(index)})
        view = ScanView(index, str(index), file, WIDTH, HEIGHT, camera=cameras[index])
        decoding = time_once(lambda file=file: decode(file))
        busy = time.process_time()
        projecting = time_once(lambda index=index: rasterization.project(mesh, cameras[index]))
        busy = time.process_time() - busy
        for _, frame in stream.frames([view]):  # one at a time: no other is decoded beside
            began, worked = time.perf_counter(), time.process_time()
            for strip in stream.strips(frame):
                sheets.accumulate(
                    strip, one, 0 * one, loss="l1", threshold=params.tolerance, photograph=index,
                    gradient=params.gradient_weight,
                )  # fmt: skip
                surface += int(torch.count_nonzero(strip.weights)) if index else 0
            spent["pass"] += (time.perf_counter() - began + projecting) if index else 0.0
            spent["processor"] += (time.process_time() - worked + busy) if index else 0.0
        spent["decoding"] += decoding if index else 0.0
    whole = count * WIDTH * HEIGHT / 1e6
    return {
        "photographs": count, "mpx_per_s": whole / spent["pass"], "surface_mpx_per_s": surface / 1e6 / spent["pass"],
        "decoding_mpx_per_s": whole / spent["decoding"], "processor_ns_per_px": 1e3 * spent["processor"] / whole,
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
