"""The demo inside Blender: run by backend/demo.py in a headless Blender's Python, never imported by the add-on.

It does what a user does: installs the zip, starts the backend, lets it compute noise, relief transfer and hydrology, puts the
terrain into the scene, lights and frames it, renders. One argument: the plan as JSON. What it has to say goes to stdout, a line of
JSON behind a tag each; everything else there is Blender's own.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import bpy
import numpy as np

TAG = "relievo-demo "
MODULE = "bl_ext.user_default.relievo"


def main(plan: dict[str, Any]) -> int:
    try:
        say(done=make(plan))
    except Exception as error:
        addon = sys.modules.get(f"{MODULE}.shared.errors")
        if addon is not None and isinstance(error, addon.RelievoError):
            told = {"code": error.code, "message": error.message, "hint": error.hint, "field": error.field}
        else:
            traceback.print_exc()
            told = {"code": "internal", "message": f"Inside Blender: {error}".strip(), "hint": "", "field": ""}
        say(error=told)
        return 1
    finally:
        stop_backend()
    return 0


def say(**fields: Any) -> None:
    print(TAG + json.dumps(fields), flush=True)


def tell(part: str, fraction: float, stage: str) -> None:
    say(part=part, fraction=fraction, stage=stage)


def make(plan: dict[str, Any]) -> dict[str, Any]:
    """The whole demo; returns what backend/demo.py writes into files."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    install(Path(plan["zip"]))
    tell("start", 0.0, "starting the backend")
    bpy.ops.relievo.start_backend()
    jobs = compute(plan)
    tell("terrain", 0.0, "building the terrain")
    terrain = place(jobs[-1])
    (height,) = jobs[-1].outputs["height"]
    np.save(Path(plan["work"]) / "height.npy", height.values)
    stage(terrain, plan)
    tell("render", 0.0, "rendering")
    render(plan)
    digests = [{port: arrays[0].sha256 for port, arrays in job.outputs.items()} for job in jobs]
    return {"pixel_size_m": height.pixel_size_m, "recipes": [dict(job.recipe) for job in jobs], "digests": digests}


# Installing ----------------------------------------------------------------------------------------------------------


def install(archive: Path) -> None:
    """Installs the zip as a user would, once for each zip: a second run finds it there and only enables it."""
    import addon_utils

    tell("add-on", 0.5, "installing the add-on")
    note = Path(bpy.utils.user_resource("EXTENSIONS")) / "relievo-demo.json"
    wanted = {"zip": str(archive), "time": archive.stat().st_mtime_ns}
    if not (note.exists() and json.loads(note.read_text(encoding="utf-8")) == wanted and addon_utils.enable(MODULE)):
        bpy.ops.extensions.package_install_files(repo="user_default", filepath=str(archive), enable_on_install=True, overwrite=True)
        note.write_text(json.dumps(wanted), encoding="utf-8")
    if not hasattr(bpy.types.Scene, "relievo"):
        raise RuntimeError("Blender has not enabled the add-on")


def addon(name: str) -> Any:
    return importlib.import_module(f"{MODULE}.{name}")


def stop_backend() -> None:
    if hasattr(bpy.types.Scene, "relievo"):
        bpy.ops.relievo.stop_backend()


# Computing -----------------------------------------------------------------------------------------------------------


def compute(plan: dict[str, Any]) -> list[Any]:
    """The three jobs, done: each feeds the next without passing through the scene, so that not a bit is lost."""
    pump, requests, sources = addon("pump"), addon("requests"), addon("sources")
    session, catalog = pump.session(), addon("shared.catalog").ALGORITHMS
    noise, morphology, hydrology = (addon("shared.algorithm").find(catalog, name) for name in ("noise", "morphology", "hydrology"))
    exemplar = sources.read(sources.Source("exemplar", plan["exemplar"]), _port(morphology, "exemplar"), bpy.context)
    size = {"width_px": plan["size_px"], "height_px": plan["size_px"]}
    # the same ground at any size: a bigger map shows it in more detail
    ground = {**size, "pixel_size_m": 30.0 * 1024 / plan["size_px"], "seed": plan["seed"]}
    base = session.submit(noise, {**dict(noise.preset("alps-base").values), **ground}, {}, silent=True)
    shaped = session.submit(morphology, {"seed": plan["seed"]}, {"exemplar": (exemplar,)}, feeds={"height": (base, "height")}, silent=True)
    purpose = {"generation": pump.generation(), "output": "MESH", "frame": False, "location": [0.0, 0.0, 0.0], "target": "", "target_uid": 0}
    watered = session.submit(hydrology, {"seed": plan["seed"]}, {}, feeds={"height": (shaped, "height")}, purpose=purpose)
    assert requests.RECIPE_KEY
    jobs = [base, shaped, watered]
    for job in jobs:
        session.wait(job, on_pump=lambda job=job: tell(job.algorithm, job.fraction, f"{job.label.lower()}: {job.stage or 'waiting'}"))
    return jobs


def _port(spec: Any, name: str) -> Any:
    return next(port for port in spec.inputs if port.name == name)


def place(job: Any) -> bpy.types.Object:
    """The terrain in the scene, as Generate puts it there."""
    results, pump = addon("results"), addon("pump")
    results.place(pump.session(), job, pump.generation())
    if job.held or job.error is not None:
        raise job.error or RuntimeError(job.held)
    return results.find_shown(job)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
