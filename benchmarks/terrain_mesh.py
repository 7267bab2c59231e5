"""Terrain mesh: 2049 x 2049 heights into Blender 4.5, against handing over faces and letting Blender find the
edges.

Gate: both meshes are equal (positions, UVs, the same faces in the same order, the same edges) and mesh.validate()
changes nothing. Then building is timed in turns, and the height update that a live preview does ten times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
REACH_BUILD = 8.0
REACH_UPDATE_MS = 50.0
BLENDER = "4.5"


def main() -> int:
    parser = argparse.ArgumentParser(prog="relievo.py bench terrain-mesh", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=2049, help="vertices a side [default: 2049]")
    parser.add_argument("--repeats", type=int, default=5, help="turns that are timed [default: 5]")
    options = parser.parse_args()
    report = _in_blender(options.size, options.repeats)
    described = machine.describe_machine()
    machine.print_machine(described)
    ratio = report["baseline_s"] / report["build_s"]
    print(
        f"terrain mesh {options.size} x {options.size}, Blender {report['blender']}: "
        "meshes equal, validate() changed nothing"
    )
    print(
        f"  build          {report['build_s']:.3f} s   foreach_set + calc_edges {report['baseline_s']:.3f} s   "
        f"{ratio:.1f}x (asked: {REACH_BUILD:.0f}x)"
    )
    print(f"  update heights {report['update_ms']:.1f} ms (asked: {REACH_UPDATE_MS:.0f} ms)")
    machine.save_result("terrain-mesh", {**report, "size": options.size, "ratio": ratio}, described)
    return 0 if ratio >= REACH_BUILD and report["update_ms"] <= REACH_UPDATE_MS else 1


def _in_blender(size: int, repeats: int) -> dict:
    """measure() in a process of Blender's own Python; its report."""
    import build_addon
    from backend.setup import environment, installing

    python = installing.ensure(environment.blender_environment(BLENDER))
    build_addon.link()
    code = f"from benchmarks.terrain_mesh import measure; measure({size}, {repeats})"
    done = subprocess.run(
        [str(python), "-c", code],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"relievo: the measurement in Blender {BLENDER} ended with {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


# Inside Blender ------------------------------------------------------------------------------------------------------


def measure(size: int, repeats: int) -> None:
    """Check, time, and print the report as one line of JSON, the last on standard output."""
    import bpy

    from blender_addon.writers import grid

    bpy.ops.wm.read_factory_settings(use_empty=True)
    heights = np.random.default_rng(7).normal(1000.0, 300.0, (size, size)).astype(np.float32)
    _check_equal(grid.build("ours", heights, 10.0), _by_faces("theirs", heights, 10.0))

    def once(make):
        # taking the last mesh away is no part of making the next
        bpy.data.batch_remove(list(bpy.data.meshes))
        return machine.time_once(lambda: make("mesh", heights, 10.0))

    build_s, baseline_s, update_s = [], [], []
    for _ in range(repeats):
        build_s.append(once(grid.build))
        mesh = bpy.data.meshes["mesh"]
        update_s += [machine.time_once(lambda mesh=mesh: grid.update_heights(mesh, heights)) for _ in range(3)]
        baseline_s.append(once(_by_faces))
    print(
        json.dumps(
            {
                "blender": bpy.app.version_string,
                "build_s": statistics.median(build_s),
                "baseline_s": statistics.median(baseline_s),
                "update_ms": 1e3 * statistics.median(update_s),
            }
        )
    )


def _by_faces(name: str, heights: np.ndarray, pixel_size_m: float):
    """The peers' way at its best: arrays through foreach_set, no Python loop, and Blender finds the edges."""
    import bpy

    from blender_addon.writers import grid

    rows, columns = heights.shape
    mesh = bpy.data.meshes.new(name)
    faces = (rows - 1) * (columns - 1)
    mesh.vertices.add(rows * columns)
    mesh.loops.add(4 * faces)
    mesh.polygons.add(faces)
    positions = np.empty((rows, columns, 3), np.float32)
    positions[..., 0] = (np.arange(columns) - (columns - 1) / 2) * pixel_size_m
    positions[..., 1] = (((rows - 1) / 2 - np.arange(rows)) * pixel_size_m)[:, None]
    positions[..., 2] = heights
    mesh.vertices.foreach_set("co", positions.ravel())
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    corners = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1)
    mesh.loops.foreach_set("vertex_index", corners.ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, 4 * faces, 4, dtype=np.int32))
    mesh.update(calc_edges=True)
    u, v = (np.arange(columns) + 0.5) / columns, 1.0 - (np.arange(rows) + 0.5) / rows
    for _ in grid._uv_in_steps(mesh, u, v):  # the same for both
        pass
    mesh.shade_smooth()
    return mesh


def _check_equal(ours, theirs) -> None:
    for name, kind, width, dtype in (
        ("position", "vector", 3, np.float32),
        (".corner_vert", "value", 1, np.int32),
        ("UVMap", "vector", 2, np.float32),
    ):
        one, other = (_attribute(mesh, name, kind, width, dtype) for mesh in (ours, theirs))
        if not np.array_equal(one, other):
            raise SystemExit(f"The meshes differ in {name}.")
    one, other = (np.sort(_attribute(mesh, ".edge_verts", "value", 2, np.int32), axis=1) for mesh in (ours, theirs))
    if not np.array_equal(one[np.lexsort(one.T)], other[np.lexsort(other.T)]):
        raise SystemExit("The meshes differ in their edges.")
    if ours.validate(verbose=True):
        raise SystemExit("validate() had something to mend.")


def _attribute(mesh, name: str, kind: str, width: int, dtype) -> np.ndarray:
    data = mesh.attributes[name].data
    values = np.empty(len(data) * width, dtype)
    data.foreach_get(kind, values)
    return values.reshape(-1, width)


if __name__ == "__main__":
    raise SystemExit(main())
