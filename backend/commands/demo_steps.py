"""The demo: builds the add-on, puts it into a real headless Blender, and lets blender_addon/demo.py drive it to a picture.

Here is what lies around Blender: its environment, the zip, the child process, its progress, and the files that are left. What
happens inside Blender is the add-on's own work. Everything is made in a hidden folder and moved when all of it is there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.commands import recipe_files
from backend.files import rasters
from backend.files.whole_files import storage_error
from backend.setup import environment, installing
from shared import digests
from shared.arrays import height_map
from shared.errors import InstallFailed, InternalError, InvalidParameter, error_from_code

SOURCE = environment.SOURCE
BLENDER = "4.5"
TAG = "relievo-demo "  # before each line of JSON that blender_addon/demo.py writes; the rest of its output is Blender's own
SAMPLE = re.compile(r"Sample (\d+)/(\d+)")

Report = Callable[[int, int, str, "float | None"], None]

# Where each part of the demo stands in the whole, in shares of its time on two cores.
PARTS = {
    "environment": (0.0, 0.01),
    "add-on": (0.01, 0.02),
    "start": (0.02, 0.05),
    "noise": (0.05, 0.07),
    "morphology": (0.07, 0.2),
    "hydrology": (0.2, 0.3),
    "terrain": (0.3, 0.33),
    "render": (0.33, 0.98),
    "files": (0.98, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """out: folder of the results. size_px: side of the height map. resolution_px: width and height of the picture."""

    out: Path
    size_px: int
    resolution_px: tuple[int, int]
    samples: int
    seed: int
    exemplar: str

    def check(self) -> None:
        """Raises InvalidParameter."""
        for name, value, low, high in (
            ("size", self.size_px, 128, 8192),
            ("samples", self.samples, 1, 65536),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if not low <= value <= high:
                raise InvalidParameter(f"--{name} is {value}; it must be {low} to {high}.", field=name)


def make(settings: Settings, report: Report) -> list[Path]:
    """Runs the demo and returns the paths of what it leaves: terrain.png, terrain.blend, height.exr, height.tif, recipe.json.

    Raises RelievoError: InstallFailed where Blender or the add-on cannot be had, whatever failed inside, StorageFull.
    """
    settings.check()
    say = _Progress(report)
    python = installing.ensure(
        environment.blender_environment(BLENDER), lambda stage, fraction, _: say("environment", fraction, stage)
    )
    cache = settings.out / ".cache"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        work = cache / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
    except OSError as error:
        raise storage_error(settings.out, error) from error
    say("add-on", 0.0, "packing the add-on")
    archive = addon_zip(cache)
    done = _run_blender(python, settings, archive, cache, say)
    say("files", 0.0, "writing files")
    return _finish(settings, work, done)


class _Progress:
    """Part and fraction of it -> the whole."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._started = time.monotonic()

    def __call__(self, part: str, fraction: float, stage: str) -> None:
        start, end = PARTS[part]
        whole = start + (end - start) * min(max(fraction, 0.0), 1.0)
        elapsed = time.monotonic() - self._started
        self._report(round(whole * 1000), 1000, stage, elapsed * (1 - whole) / whole if whole > 0.1 else None)


# The add-on ----------------------------------------------------------------------------------------------------------


def addon_zip(cache: Path) -> Path:
    """The add-on's zip for BLENDER, built again where its sources have changed since the last time."""
    import build_addon  # the script beside relievo.py

    digest = sources_digest()
    stamp = cache / "addon.json"
    try:
        known = json.loads(stamp.read_text(encoding="utf-8"))
        if known["digest"] == digest and Path(known["zip"]).is_file():
            return Path(known["zip"])
    except (OSError, ValueError, KeyError):
        pass  # no stamp that can be read: build it
    target = next(target for target in build_addon.TARGETS if target.python == "3.11")
    try:
        (archive,) = build_addon.build(target, cache.resolve() / "dist")
    except (build_addon.BuildError, OSError) as error:
        raise InstallFailed(f"The add-on could not be packed: {error}") from error
    stamp.write_text(json.dumps({"digest": digest, "zip": str(archive)}), encoding="utf-8")
    return archive


def sources_digest() -> str:
    """Changes with any source that goes into the zip."""
    folders = [SOURCE / name for name in ("blender_addon", "shared", "backend", "locks")]
    sources = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".nbi", ".nbc")
    ]
    return digests.of_tree(SOURCE, [*sources, SOURCE / "pyproject.toml", SOURCE / "build_addon.py"])


# Blender -------------------------------------------------------------------------------------------------------------


def _run_blender(python: Path, settings: Settings, archive: Path, cache: Path, say: _Progress) -> dict[str, Any]:
    """Runs blender_addon/demo.py in Blender and returns its last word."""
    work = (cache / "work").resolve()
    plan = {
        "zip": str(archive.resolve()),
        "work": str(work),
        "size_px": settings.size_px,
        "resolution_px": settings.resolution_px,
        "samples": settings.samples,
        "seed": settings.seed,
        "exemplar": settings.exemplar,
    }
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        "BLENDER_USER_RESOURCES": str((cache / "blender").resolve()),
        "RELIEVO_PYTHON": sys.executable,
        "RELIEVO_SOURCE": str(SOURCE),
        "RELIEVO_DATA": str((cache / "data").resolve()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }
    command = [str(python), str(SOURCE / "blender_addon" / "demo.py"), json.dumps(plan)]
    process = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    done: dict[str, Any] = {}
    tail: deque[str] = deque(maxlen=40)
    try:
        with open(cache / "blender.log", "w", encoding="utf-8") as log:
            for message in _messages(process, log, tail):
                if "error" in message:
                    raise error_from_code(**message["error"])
                if "done" in message:
                    done = message["done"]
                else:
                    say(message["part"], message["fraction"], message["stage"])
        status = process.wait()
    finally:
        _end(process)
    if status != 0 or not done:
        last = next((line for line in reversed(tail) if line.strip()), "it said nothing")
        raise InternalError(
            f"Blender ended with status {status}: {last.strip()}", hint=f"Its log is {cache / 'blender.log'}."
        )
    return done


def _messages(process: subprocess.Popen[str], log: Any, tail: deque[str]) -> Iterator[dict[str, Any]]:
    """What the script says, and the samples that Cycles counts, as they come."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(TAG):
            yield json.loads(line.removeprefix(TAG))
            continue
        log.write(line)
        tail.append(line)
        if found := SAMPLE.search(line):
            yield {
                "part": "render",
                "fraction": int(found[1]) / int(found[2]),
                "stage": f"rendering, sample {found[1]} of {found[2]}",
            }


def _end(process: subprocess.Popen[str]) -> None:
    """The backend that it started sees that its parent is gone, and ends too."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# Files ---------------------------------------------------------------------------------------------------------------


def _finish(settings: Settings, work: Path, done: dict[str, Any]) -> list[Path]:
    """Writes height.exr, height.tif and recipe.json from what Blender received, and moves everything into place."""
    height = height_map(np.load(work / "height.npy"), done["pixel_size_m"])
    rasters.write(height, work / "height.exr")
    rasters.write(height, work / "height.tif")
    recipe = recipe_files.linked(done["recipes"], done["digests"])
    (work / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    paths = []
    for name in ("terrain.png", "terrain.blend", "height.exr", "height.tif", "recipe.json"):
        try:
            os.replace(work / name, settings.out / name)
        except OSError as error:
            raise storage_error(settings.out / name, error) from error
        paths.append(settings.out / name)
    shutil.rmtree(work, ignore_errors=True)
    return paths
