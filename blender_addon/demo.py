"""The demo inside Blender: run by backend/commands/demo_steps.py in a headless Blender's Python, never imported by the add-on.

It does what a user does: installs the zip, starts the backend, lets it compute noise, relief transfer and hydrology, puts the
terrain into the scene, lights and frames it, renders. One argument: the plan as JSON. What it has to say goes to stdout, a line of
JSON behind a tag each; everything else there is Blender's own.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
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
            failure = {name: getattr(error, name) for name in ("code", "message", "hint", "field")}
        else:
            traceback.print_exc()
            failure = {"code": "internal", "message": f"Inside Blender: {error}".strip(), "hint": "", "field": ""}
        say(error=failure)
        return 1
    finally:
        stop_backend()
    return 0


def say(**fields: Any) -> None:
    sys.stdout.write(TAG + json.dumps(fields) + "\n")
    sys.stdout.flush()


def tell(part: str, fraction: float, stage: str) -> None:
    say(part=part, fraction=fraction, stage=stage)


def make(plan: dict[str, Any]) -> dict[str, Any]:
    """The whole demo; returns what backend/commands/demo_steps.py writes into files."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    install(Path(plan["zip"]))
    tell("start", 0.0, "starting the backend")
    bpy.ops.relievo.start_backend()  # pyright: ignore[reportAttributeAccessIssue]  # the add-on's own operators
    jobs, digests, height = compute(plan)
    tell("terrain", 0.0, "building the terrain")
    terrain = place(jobs[-1])
    np.save(Path(plan["work"]) / "height.npy", height.values)
    dress(terrain)
    set_stage(terrain, height.values, height.pixel_size_m, plan)
    tell("render", 0.0, "rendering")
    render(plan)
    return {"pixel_size_m": height.pixel_size_m, "recipes": [dict(job.recipe) for job in jobs], "digests": digests}


# Installing ----------------------------------------------------------------------------------------------------------


def install(archive: Path) -> None:
    """Installs the zip as a user would, once for each zip: a second run finds it there and only enables it."""
    import addon_utils

    tell("add-on", 0.5, "installing the add-on")
    note = Path(bpy.utils.user_resource("EXTENSIONS")) / "relievo-demo.json"
    wanted = {"zip": str(archive), "time": archive.stat().st_mtime_ns}
    if not (note.exists() and json.loads(note.read_text(encoding="utf-8")) == wanted and addon_utils.enable(MODULE)):
        bpy.ops.extensions.package_install_files(
            repo="user_default", filepath=str(archive), enable_on_install=True, overwrite=True
        )
        note.write_text(json.dumps(wanted), encoding="utf-8")
    if not hasattr(bpy.types.Scene, "relievo"):
        raise RuntimeError("Blender has not enabled the add-on")


def addon(name: str) -> Any:
    return importlib.import_module(f"{MODULE}.{name}")


def stop_backend() -> None:
    if hasattr(bpy.types.Scene, "relievo"):
        bpy.ops.relievo.stop_backend()  # pyright: ignore[reportAttributeAccessIssue]


# Computing -----------------------------------------------------------------------------------------------------------


def compute(plan: dict[str, Any]) -> tuple[list[Any], list[dict[str, str]], Any]:
    """The three jobs, done, the digests of the heights that went from each to the next, and the last height.

    Each feeds the next without passing through the scene, so that not a bit is lost.
    """
    pump, sources = addon("pump"), addon("inputs.sources")
    session, catalog = pump.session(), addon("shared.catalog").ALGORITHMS
    noise, morphology, hydrology = (
        addon("shared.algorithm").find(catalog, name) for name in ("noise", "morphology", "hydrology")
    )
    exemplar = sources.read(sources.Source("exemplar", plan["exemplar"]), _port(morphology, "exemplar"), bpy.context)
    size = {"width_px": plan["size_px"], "height_px": plan["size_px"]}
    # the same ground at any size: a bigger map shows it in more detail
    ground = {**size, "pixel_size_m": 30.0 * 1024 / plan["size_px"], "seed": plan["seed"]}
    base = session.submit(noise, {**dict(noise.preset("alps-base").values), **ground}, {}, silent=True)
    closely = {**dict(morphology.preset("close").values), "seed": plan["seed"]}
    shaped = session.submit(
        morphology, closely, {"exemplar": (exemplar,)}, feeds={"height": (base, "height")}, silent=True
    )
    purpose = {
        "generation": pump.generation(),
        "output": "MESH",
        "frame": False,
        "location": [0.0, 0.0, 0.0],
        "target": "",
        "target_uid": 0,
    }
    gently = {**dict(hydrology.preset("young").values), "seed": plan["seed"]}
    watered = session.submit(hydrology, gently, {}, feeds={"height": (shaped, "height")}, purpose=purpose)
    jobs = [base, shaped, watered]
    for job in jobs:
        session.wait(
            job,
            on_pump=lambda job=job: tell(job.algorithm, job.fraction, f"{job.label.lower()}: {job.stage or 'waiting'}"),
        )
    # what a job makes for the next one alone is not kept: its digest stands in the next one's recipe
    digests = [{"height": job.recipe["inputs"]["height"][0]["sha256"]} for job in jobs[1:]]
    return jobs, digests, watered.outputs["height"][0]


def _port(spec: Any, name: str) -> Any:
    return next(port for port in spec.inputs if port.name == name)


def place(job: Any) -> bpy.types.Object:
    """The terrain in the scene, as Generate puts it there."""
    results, pump = addon("placing.results"), addon("pump")
    results.place(pump.session(), job, pump.generation())
    if job.held or job.error is not None:
        raise job.error or RuntimeError(job.held)
    return results.find_shown(job)


def dress(terrain: bpy.types.Object) -> None:
    """The ground textures that ship, as the button Wear Textures puts them on."""
    bpy.context.view_layer.objects.active = terrain
    bpy.ops.relievo.wear_textures()  # pyright: ignore[reportAttributeAccessIssue]  # the add-on's own operators


# The picture ---------------------------------------------------------------------------------------------------------

LENS_MM, SENSOR_MM = 35.0, 36.0
SUN_ELEVATION_DEG, SUN_ASIDE_DEG = 19.0, 82.0  # low, and from the side: that is what makes relief readable
HORIZON_SHARE = 0.24  # of the picture's height above the horizon
VISIBILITY_M = 120000.0  # distance over which the air takes 63 % of the light, as on a clear day in the mountains


def set_stage(terrain: bpy.types.Object, heights: np.ndarray, pixel_size_m: float, plan: dict[str, Any]) -> None:
    """Camera, light, and the country around, so that no cut edge shows."""
    eye, azimuth = viewpoint(heights, pixel_size_m)
    scene, stage = bpy.context.scene, addon("writers.stage")
    terrain[addon("writers.terrain_layers").HAZE_KEY] = 1.0 / VISIBILITY_M
    surround(terrain, heights.shape, pixel_size_m)
    data = bpy.data.cameras.new(stage.CAMERA)
    data.lens, data.sensor_width = LENS_MM, SENSOR_MM
    camera = bpy.data.objects.new(stage.CAMERA, data)
    data.clip_start, data.clip_end = pixel_size_m, 6.0 * max(heights.shape) * pixel_size_m
    width, height = plan["resolution_px"]
    half_height = math.atan(0.5 * SENSOR_MM / LENS_MM * height / width)
    pitch = math.atan(math.tan(half_height) * (1.0 - 2.0 * HORIZON_SHARE))
    camera.location = eye
    camera.rotation_euler = (
        math.pi / 2 - pitch,
        0.0,
        -azimuth,
    )  # a camera at rest looks down; azimuth turns clockwise from +Y
    scene.collection.objects.link(camera)
    scene.camera = camera
    view = stage.View(sun_azimuth=math.degrees(azimuth) - SUN_ASIDE_DEG, sun_elevation=SUN_ELEVATION_DEG)
    stage.sun(scene, view)
    scene.world = sky(view)


def sky(view: Any) -> bpy.types.World:
    """The physical sky around the sun, seen as it is: here the country reaches to the horizon and nothing has to be hidden."""
    compat = addon("compat")
    world = bpy.data.worlds.new("Sky")
    tree = compat.use_nodes(world)
    tree.nodes.clear()
    air = tree.nodes.new("ShaderNodeTexSky")
    compat.physical_sky(
        air, elevation=math.radians(view.sun_elevation), rotation=math.radians(view.sun_azimuth), air=1.0, dust=0.4
    )
    background, output = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    background.inputs["Strength"].default_value = 0.2
    tree.links.new(air.outputs["Color"], background.inputs["Color"])
    tree.links.new(background.outputs["Background"], output.inputs["Surface"])
    return world


def viewpoint(heights: np.ndarray, pixel_size_m: float) -> tuple[tuple[float, float, float], float]:
    """Where to stand and where to look: the place in the southern part that sees most of the land in the middle distance.

    Returns the eye in metres in the terrain's own space (x east, y north, z up) and the azimuth in radians, clockwise from north.
    Rays are marched over a coarse grid of the highest points; a cell counts when it stands above everything before it.
    """
    block = max(1, min(heights.shape) // 128)
    rows, columns = (side // block for side in heights.shape)
    coarse = heights[: rows * block, : columns * block].reshape(rows, block, columns, block).max(axis=(1, 3))
    cell_m = block * pixel_size_m
    relief = float(coarse.max() - coarse.min())
    aside = math.atan(0.5 * SENSOR_MM / LENS_MM) * np.linspace(-0.95, 0.95, 41)
    steps = np.arange(2, rows)
    best: tuple[float, tuple[float, float, float], float] = (-1.0, (0.0, 0.0, 0.0), 0.0)
    for row in range(int(rows * 0.62), int(rows * 0.97), max(1, rows // 24)):
        for column in range(int(columns * 0.1), int(columns * 0.9), max(1, columns // 24)):
            near = coarse[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4]
            eye = float(near.max()) + 0.12 * relief
            for azimuth in np.radians((-35.0, -15.0, 0.0, 15.0, 35.0)):
                score = _seen(coarse, cell_m, relief, (row, column, eye), azimuth + aside, steps)
                if score > best[0]:
                    x, y = (column - (columns - 1) / 2) * cell_m, ((rows - 1) / 2 - row) * cell_m
                    best = (score, (x, y, eye), float(azimuth))
    return best[1], best[2]


def _seen(
    coarse: np.ndarray, cell_m: float, relief: float, stand: tuple[int, int, float], rays: np.ndarray, steps: np.ndarray
) -> float:
    """How much there is to see: cells in sight, weighted by how large they look and by their height over the valleys."""
    row, column, eye = stand
    r = np.rint(row - np.cos(rays)[:, None] * steps).astype(int)
    c = np.rint(column + np.sin(rays)[:, None] * steps).astype(int)
    inside = (r >= 0) & (r < coarse.shape[0]) & (c >= 0) & (c < coarse.shape[1])
    ground = coarse[np.clip(r, 0, coarse.shape[0] - 1), np.clip(c, 0, coarse.shape[1] - 1)]
    rise = (ground - eye) / (steps * cell_m)
    above = rise > np.maximum.accumulate(np.concatenate([np.full((len(rays), 1), -9.0), rise[:, :-1]], axis=1), axis=1)
    lofty = (ground - coarse.min()) / max(relief, 1e-6)
    return float(((inside & above) * (0.35 + lofty) / np.sqrt(steps)).sum())


def surround(terrain: bpy.types.Object, shape: tuple[int, int], pixel_size_m: float) -> None:
    """Eight mirrored copies around the terrain: they share its mesh, meet it without a seam, and the horizon has no edge."""
    backdrop = bpy.data.collections.new("Backdrop")
    bpy.context.scene.collection.children.link(backdrop)
    width, depth = (shape[1] - 1) * pixel_size_m, (shape[0] - 1) * pixel_size_m
    for column in (-1, 0, 1):
        for row in (-1, 0, 1):
            if column or row:
                copy = terrain.copy()
                copy.name = "Backdrop"
                copy.location = (column * width, row * depth, 0.0)
                copy.scale = (-1.0 if column else 1.0, -1.0 if row else 1.0, 1.0)
                backdrop.objects.link(copy)


def render(plan: dict[str, Any]) -> None:
    """The picture by Cycles on the CPU, denoised, and the file that it was made from."""
    scene, work = bpy.context.scene, Path(plan["work"])
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.samples = "CPU", plan["samples"]
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.03
    cycles.use_denoising = True
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = (
        3,
        2,
        1,
    )  # terrain under a sky: more light is not seen
    cycles.sample_clamp_indirect = 5.0
    scene.render.resolution_x, scene.render.resolution_y = plan["resolution_px"]
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.25
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(work / "terrain.png")
    bpy.ops.wm.save_as_mainfile(filepath=str(work / "terrain.blend"), compress=True)
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
