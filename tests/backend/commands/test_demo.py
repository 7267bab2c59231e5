"""The demo on the real thing, small: a real headless Blender, the real zip, a real backend, a rendered picture.

Needs the environment of Blender 4.5, which `relievo.py test` and `relievo.py prepare` make.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from backend.commands import demo_steps
from backend.files import rasters
from backend.setup import environment
from shared.errors import InvalidParameter

REPOSITORY = Path(__file__).resolve().parents[3]
WORDS = ("--size", "192", "--resolution", "160x90", "--samples", "1", "--seed", "3")


def run(out: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend", "demo", "--out", str(out), *(words or WORDS)]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environ}, capture_output=True, text=True, timeout=900
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if environment.blender_environment(demo_steps.BLENDER).state != "ready":
        pytest.skip(
            f"Blender {demo_steps.BLENDER} is not installed here: relievo.py prepare --blender {demo_steps.BLENDER}"
        )
    out = tmp_path_factory.mktemp("demo") / "out"
    done = run(out)
    assert done.returncode == 0, done.stderr
    assert [Path(line).name for line in done.stdout.split()] == [
        "terrain.png",
        "terrain.blend",
        "height.exr",
        "height.tif",
        "recipe.json",
    ]
    return out


def test_the_picture_shows_a_lit_terrain_under_a_sky(made):
    with rasterio.open(made / "terrain.png") as file:
        picture = file.read()[:3].astype(np.float32) / 255.0
    assert picture.shape == (3, 90, 160)
    sky, land = picture[:, :12], picture[:, 40:]
    assert sky.mean() > land.mean()  # the sky is bright
    assert sky.std(axis=(1, 2)).max() < 0.1  # and even
    assert land.std(axis=(1, 2)).min() > 0.04  # the land is neither black nor flat
    assert land.max() - land.min() > 0.3


def test_the_heights_are_those_of_the_recipe_to_the_byte(made, tmp_path):
    height = rasters.read_height(made / "height.tif")
    assert height.values.shape == (192, 192)
    np.testing.assert_array_equal(rasters.read_height(made / "height.exr").values, height.values)
    recipe = json.loads((made / "recipe.json").read_text())
    chain = [recipe["algorithm"], recipe["inputs"]["height"][0]["recipe"]["algorithm"]]
    chain.append(recipe["inputs"]["height"][0]["recipe"]["inputs"]["height"][0]["recipe"]["algorithm"])
    assert chain == ["hydrology", "morphology", "noise"]
    command = [
        sys.executable,
        "-m",
        "backend",
        "run",
        "--recipe",
        str(made / "recipe.json"),
        "--out",
        str(tmp_path),
        "--format",
        "npy",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "height.npy"), height.values)


def test_the_saved_file_opens_with_terrain_camera_and_sun(made):
    code = """
import bpy, json, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
terrains = [o for o in bpy.data.objects if "relievo_recipe" in o and not o.name.startswith("Backdrop")]
found = {
    "terrains": len(terrains),
    "vertices": len(terrains[0].data.vertices),
    "camera": bool(bpy.context.scene.camera),
    "suns": sum(lamp.type == "SUN" for lamp in bpy.data.lights),
    "recipe": json.loads(terrains[0]["relievo_recipe"])["algorithm"],
}
print("FOUND", json.dumps(found))
"""
    python = environment.blender_environment(demo_steps.BLENDER).python
    done = subprocess.run([str(python), "-c", code, str(made / "terrain.blend")], capture_output=True, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))
    assert json.loads(line.removeprefix("FOUND")) == {
        "terrains": 1,
        "vertices": 192 * 192,
        "camera": True,
        "suns": 1,
        "recipe": "hydrology",
    }


def test_a_failure_is_one_sentence_and_keeps_the_old_results(made):
    before = {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()}
    done = run(made, *WORDS, "--exemplar", "nowhere")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("Demo: ")]
    assert said[0].startswith("relievo: ")
    assert "nowhere" in said[0]
    assert len(said) <= 2
    assert {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()} == before


def test_no_process_is_left(made):
    """The backend ends with the Blender that started it."""
    wanted = str((made / ".cache").resolve()).encode()
    deadline = time.monotonic() + 30
    while left := [path for path in Path("/proc").glob("[0-9]*/cmdline") if _has(path, wanted)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def _has(path: Path, wanted: bytes) -> bool:
    try:
        return wanted in path.read_bytes()
    except OSError:
        return False  # it has ended meanwhile


@pytest.mark.parametrize("change", [{"size_px": 64}, {"samples": 0}, {"seed": -1}])
def test_values_out_of_range_are_refused(tmp_path, change):
    settings = {
        "out": tmp_path,
        "size_px": 256,
        "resolution_px": (160, 90),
        "samples": 1,
        "seed": 1,
        "exemplar": "alpine",
    }
    with pytest.raises(InvalidParameter, match="it must be"):
        demo_steps.make(demo_steps.Settings(**(settings | change)), lambda *_: None)
    assert list(tmp_path.iterdir()) == []
