r"""Makes what lies beside it: files of version 0.1, for the tests that later versions still open them.

    CHECKOUT/.venv/bin/python make.py CHECKOUT FOLDER

CHECKOUT is the repository at COMMIT, untouched, with its environments .venv and .venv-blender-4.2. FOLDER is this one, or another
to compare with: on one kind of processor everything but times comes out the same. Runs on a later version are refused: the files
are worth keeping only because that version wrote them; what import_module() names are its modules.

    runs/NAME/              inputs, recipe.json and outputs (made/) of a run on the command line
    store/jobs/             the job store of a server that was killed (kill -9)
    store.json store_made/  what its jobs are, and what those that had not run yet have to give
    NAME.blend NAME.json    a file of Blender 4.2 with results and settings, and what has to be read from it
    made.json               commit, version, processor and Blender that all of it was made with
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

COMMIT = "a1384140a7c87ec4fb848f5285759d20bf37e5c3"
SOMEWHERE = "/home/somebody/terrains"  # stands in recipes where the folder that they were made in stood
PHOTOGRAPHS, PHOTOGRAPH_PX = 5, (72, 60)
OWNER = "00000000-0000-4000-8000-000000000001"
JOBS = {name: f"00000000-0000-4000-8000-0000000000{number}" for number, name in enumerate(
    ("succeeded", "failed", "cancelled", "running", "queued"), 10)}  # fmt: skip


def write_json(path: Path, content: Any) -> None:
    path.write_text(as_text(content) + "\n", encoding="utf-8")


def as_text(content: Any, indent: str = "") -> str:
    """JSON with a line for each innermost object or list."""
    items = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    if not any(isinstance(item, (dict, list)) for item in items):
        return json.dumps(content, sort_keys=True)
    deeper = indent + " "
    if isinstance(content, list):
        lines, brackets = [as_text(item, deeper) for item in content], "[]"
    else:
        lines = [f"{json.dumps(key)}: {as_text(content[key], deeper)}" for key in sorted(content)]
        brackets = "{}"
    return f"{brackets[0]}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{brackets[1]}"


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def main(checkout: Path, folder: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=checkout, capture_output=True, text=True)
    if head.stdout.strip() != COMMIT or changed.stdout.strip():
        sys.exit(f"{checkout} is not the untouched commit {COMMIT}.")
    sys.path.insert(0, str(checkout))
    stage = (
        Path(tempfile.gettempdir()) / "version_0_1"
    )  # a name that says nothing of a machine: Blender's files keep it
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        make_runs(checkout, stage / "runs")
        make_store(stage)
        blender = checkout / ".venv-blender-4.2/bin/python"
        command = [blender, Path(__file__).with_name("make_blends.py"), checkout, stage]
        home = {"HOME": tempfile.gettempdir()}  # Blender keeps that in its files too
        subprocess.run(command, check=True, cwd=checkout, env={**os.environ, **home})
        add_to_json(stage / "made.json", commit=COMMIT, version="0.1.0", processor=processor())
        for name in ("runs", "store", "store_made"):
            shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(stage, folder, dirs_exist_ok=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def processor() -> str:
    """As the tests tell one processor from another: by their own function, which lies beside this folder."""
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    from tests.older_version import processor

    return processor()


def add_to_json(path: Path, **more: Any) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_json(path, known | more)


# Runs on the command line --------------------------------------------------------------------------------------------


def make_runs(checkout: Path, runs: Path) -> None:
    """One run an engine, one whose input is another's output, and one with a shipped landform."""
    make_inputs(runs)
    run(checkout, runs / "noise", "noise", "--preset", "islands", "--width", 48, "--height", 36, "--seed", 12)
    run(
        checkout, runs / "morphology", "morphology", "--height", "layout.npy", "--exemplar", "exemplar.png",
        "--pixel-size", 30, "--height-range", 200, 1400, "--steps", 8, "--filters", 12, "--landform-px", 20,
        "--relief", 700, "--seed", 3,
    )  # fmt: skip
    run(
        checkout, runs / "landform", "morphology", "--height", "layout.npy", "--pixel-size", 30, "--landform", "dunes",
        "--steps", 6, "--no-drainage", "--seed", 5,
    )  # fmt: skip
    run(
        checkout, runs / "hydrology", "hydrology", "--height", "height.tif", "--mask", "mask.png", "--preset", "old",
        "--steps", 15, "--flow-model", "single", "--seed", 8,
    )  # fmt: skip
    run(
        checkout, runs / "scan_texture", "scan_texture", "--mesh", "mesh.obj", "--cameras", "cameras.json",
        "--images", *(f"{number:02}.png" for number in range(PHOTOGRAPHS)), "--size", 40, "--robustness", "huber",
        "--alignment", "shift", "--passes", 1, "--hold-out", 4, "--format", "npy", "obj", "json",
    )  # fmt: skip
    make_chain(checkout, runs)


def run(checkout: Path, folder: Path, *words: Any) -> None:
    """A real run in the folder; its recipe.json beside the inputs, the rest under made/."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "made"
    formats = [] if "--format" in words else ["--format", "npy"]
    command = [sys.executable, "-m", "backend", "run", *map(str, words), *formats]
    command += ["--out", str(made), "--device", "cpu", "--threads", "2", "--quiet"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(checkout)}, check=True)
    text = (made / "recipe.json").read_text(encoding="utf-8")
    (made / "recipe.json").unlink()
    (folder / "recipe.json").write_text(text.replace(str(folder.parent.resolve()), SOMEWHERE), encoding="utf-8")


def make_inputs(runs: Path) -> None:
    import rasterio
    from affine import Affine
    from PIL import Image

    random = np.random.default_rng(20)
    for name in ("morphology", "landform", "hydrology", "scan_texture"):
        (runs / name).mkdir(parents=True)
    for name, side in (("morphology", 56), ("landform", 48)):
        np.save(runs / name / "layout.npy", hills(random, side - 8, side))
    exemplar = hills(random, 72, 72)
    Image.fromarray((exemplar / exemplar.max() * 65535).astype(np.uint16)).save(runs / "morphology/exemplar.png")
    with rasterio.open(
        runs / "hydrology/height.tif", "w", driver="GTiff", height=32, width=44, count=1, dtype="float32",
        crs="EPSG:32632", transform=Affine(25, 0, 4e5, 0, -25, 5e6),
    ) as file:  # fmt: skip
        file.write(hills(random, 32, 44), 1)
    mask = np.linspace(0, 255, 44).astype(np.uint8)[None].repeat(32, 0)
    Image.fromarray(mask).save(runs / "hydrology/mask.png")
    make_scan(runs / "scan_texture")


def hills(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """float32 [rows, columns] m: random lattices of three sizes, blended linearly."""
    height = np.full((rows, columns), 300.0)
    for cells, metres in ((3, 500.0), (7, 180.0), (17, 50.0)):
        grid = random.random((cells + 2, cells + 2))
        y, x = np.arange(rows) * (cells / rows), np.arange(columns) * (cells / columns)
        (i, v), (j, u) = (y.astype(int), (y % 1)[:, None]), (x.astype(int), x % 1)
        along = grid[i] * (1 - v) + grid[i + 1] * v
        height += metres * (along[:, j] * (1 - u) + along[:, j + 1] * u)
    return height.astype(np.float32)


def make_scan(folder: Path) -> None:
    """mesh.obj, cameras.json and the photographs of the tests' small scan, small enough for a repository."""
    from PIL import Image

    arrays, cameras_of = import_module("shared.arrays"), import_module("shared.cameras")
    small_scan = import_module("tests.small_scan")
    width, height = PHOTOGRAPH_PX
    scan = small_scan.small_scan(
        PHOTOGRAPHS, mesh=small_scan.hills(5), gains=np.linspace(0.93, 1.05, PHOTOGRAPHS), poses_px=0.3, seed=2, width=width,
        height=height, focal_px=82.0,
    )  # fmt: skip
    bent = cameras_of.Distortion(
        coefficients=(-2e-4, *[0.0] * 7)
    )  # of one, too little to be seen: a lens that has to be kept
    cameras = [replace(scan.cameras[0], distortion=bent), *scan.cameras[1:]]
    import_module("backend.meshes.writing").write(arrays.Array(arrays.MESH, scan.mesh), folder / "mesh.obj")
    cameras_of.write(cameras, folder / "cameras.json")
    for camera, image in zip(cameras, scan.inputs()["images"], strict=True):
        with Image.open(io.BytesIO(image.values.tobytes())) as picture:
            picture.save(folder / camera.name, optimize=True)


def make_chain(checkout: Path, runs: Path) -> None:
    """A recipe that carries its input's recipe, as the demo writes one: no file goes in."""
    first, second = runs / "chain/first", runs / "chain"
    run(checkout, first, "noise", "--preset", "ridges", "--width", 36, "--height", 28, "--seed", 31)
    run(
        checkout, second, "hydrology", "--height", "first/made/height.npy", "--pixel-size", 30, "--preset", "young",
        "--steps", 10, "--seed", 2,
    )  # fmt: skip
    steps = [json.loads((folder / "recipe.json").read_text(encoding="utf-8")) for folder in (first, second)]
    digest = steps[1]["inputs"]["height"][0]["sha256"]
    for item in steps[1]["inputs"]["height"]:
        del item["file"]
    linked = import_module("backend.commands.recipe_files").linked(steps, [{"height": digest}])
    assert linked["inputs"]["height"][0]["recipe"]["params"]["seed"] == 31
    (second / "recipe.json").write_text(json.dumps(linked, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(first)


# A job store ---------------------------------------------------------------------------------------------------------


def make_store(stage: Path) -> None:
    """A job in each state, one of them at work and one behind it when the server is killed."""
    arrays, messages = import_module("shared.arrays"), import_module("shared.messages")
    processes = import_module("tests.backend_process")
    random, state = np.random.default_rng(21), stage / "state"
    layout, ground = arrays.height_map(hills(random, 48, 56), 30.0), arrays.height_map(hills(random, 36, 44), 20.0)
    mask = arrays.Array(arrays.MASK, np.linspace(0, 1, 44, dtype=np.float32)[None].repeat(36, 0))
    transfer = {"steps": 60, "filters": 12, "landform_px": 14.0, "landform": "volcanic", "seed": 6}
    water = {"steps": 12, "amount": 0.45, "flow_model": "single", "seed": 9}
    with processes.BackendProcess(state, devices=["cpu"]) as backend:
        client = backend.client(OWNER)
        client.submit("noise", job=JOBS["succeeded"], width_px=28, height_px=20, fractal="ridged", seed=17)
        assert client.finished(JOBS["succeeded"]).state == "succeeded"
        wrong = {"method": "spatial", "formula": "merizzi-2024"}  # known only when it runs
        client.submit("morphology", {"height": (layout,)}, job=JOBS["failed"], **wrong)
        assert client.finished(JOBS["failed"]).state == "failed"
        client.submit("morphology", {"height": (layout,)}, job=JOBS["cancelled"], steps=2000)
        client.wait_running(JOBS["cancelled"])
        client.ask(messages.Cancel(job=JOBS["cancelled"]))
        assert client.finished(JOBS["cancelled"]).state == "cancelled"
        client.submit("morphology", {"height": (layout,)}, job=JOBS["running"], **transfer)
        client.submit("hydrology", {"height": (ground,), "mask": (mask,)}, job=JOBS["queued"], **water)
        client.wait_running(JOBS["running"])
        assert client.status(JOBS["queued"])["state"] == "queued"
        workers = backend.worker_pids()
        backend.kill()
        for pid in workers:
            os.kill(pid, 9)
        client.close()
    shutil.copytree(state / "jobs", stage / "store/jobs")
    shutil.rmtree(state)
    told = {}
    for name, job in JOBS.items():
        known = json.loads((stage / "store/jobs" / job / "job.json").read_text(encoding="utf-8"))
        assert known["state"] == name, known
        told[name] = {"job": job, "algorithm": known["algorithm"], "error": known["error"]}
    write_json(stage / "store.json", {"owner": OWNER, "jobs": told})
    make_results(stage / "store_made", running=("morphology", transfer, {"height": layout}),
                 queued=("hydrology", water, {"height": ground, "mask": mask}))  # fmt: skip


def make_results(folder: Path, **jobs: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    """What jobs that had not run give: as npy files by state and port."""
    for state, (algorithm, params, inputs) in jobs.items():
        (folder / state).mkdir(parents=True)
        for port, array in import_module("backend").run(algorithm, device="cpu", **params, **inputs).items():
            np.save(folder / state / f"{port}.npy", array.values)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*(Path(word).resolve() for word in sys.argv[1:3]))
