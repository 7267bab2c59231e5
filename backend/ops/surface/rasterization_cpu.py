"""Fast twin, in numba, of the surface maps in rasterization_plain.py: the same float64 operations, strip by strip.

A photograph is cut into strips of BAND rows. `row_ranges` and `bin_triangles` list the triangles that may touch each strip, in
the order of the mesh; `draw_strips` gives every strip to one thread, which z-buffers its triangles in that order and only then
computes what each pixel sees, once. So no pixel depends on the number of threads, on the strip's height or on the rows asked
for. The parts are in triangle_setup_cpu, triangle_fill_cpu and surface_shading_cpu, the mathematics is described in
rasterization.py. Nothing here allocates more than a strip's worth a thread.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import peek, poke
from backend.ops.surface import triangle_setup_cpu as setup
from backend.ops.surface.constants import BAND
from backend.ops.surface.surface_shading_cpu import MIXED, shade
from backend.ops.surface.triangle_fill_cpu import LANES, fill
from backend.ops.surface.triangle_setup_cpu import BATCH, RECORDED

CHUNK = 1024  # triangles that a thread takes at a time


def row_ranges(triangles, pose, lens, near, width, height, first, last):
    """First and last strip (int32 [N]) that each triangle may touch; first > last where it touches no pixel centre.

    triangles: float32 [N, 3, 5]. pose: float64 [12], the rotation by rows, then the translation. lens: float64 [6],
    fx fy cx cy 1/fx 1/fy. Returns how many triangles have a corner that is no finite number.
    """
    chunks = (triangles.shape[0] + CHUNK - 1) // CHUNK
    return sum(run_in_threads(_ranges_of_chunks, chunks, triangles, pose, lens, near, width, height, first, last))


@njit(cache=True, nogil=True, error_model="numpy")
def _ranges_of_chunks(begin_chunk, end_chunk, triangles, pose, lens, near, width, height, first, last):
    count, broken = triangles.shape[0], 0
    batch, members = np.empty(setup.SIZE), np.empty(BATCH, np.int32)
    for chunk in range(begin_chunk, end_chunk):
        for begin in range(chunk * CHUNK, min((chunk + 1) * CHUNK, count), BATCH):
            here = min(BATCH, count - begin)
            for j in range(here):
                members[j] = begin + j
            setup.take(triangles, triangles[:0], members[:here], batch)
            broken += setup.count_broken(here, batch)
            setup.place(pose, here, batch)
            setup.bound(lens, near, width, height, here, batch)
            _note_strips(batch, first[begin : begin + here], last[begin : begin + here])
    return broken


@njit(cache=True, error_model="numpy")
def _note_strips(batch, first, last):
    for j in range(first.size):
        left, right = peek(batch, setup.BOX + j), peek(batch, setup.BOX + BATCH + j)
        top, bottom = peek(batch, setup.BOX + 2 * BATCH + j), peek(batch, setup.BOX + 3 * BATCH + j)
        shows = (left <= right) & (top <= bottom)
        first[j] = np.int32(top) // BAND if shows else 1
        last[j] = np.int32(bottom) // BAND if shows else 0


@njit(cache=True, nogil=True, error_model="numpy")
def bin_triangles(first, last, strips):
    """The triangles of each strip: starts int64 [strips + 1] into members int32, the mesh's order kept in each strip."""
    starts = np.zeros(strips + 1, np.int64)
    for index in range(first.size):
        for strip in range(first[index], last[index] + 1):
            starts[strip + 1] += 1
    for strip in range(strips):
        starts[strip + 1] += starts[strip]
    members, cursor = np.empty(starts[strips], np.int32), starts.copy()
    for index in range(first.size):
        for strip in range(first[index], last[index] + 1):
            members[cursor[strip]] = index
            cursor[strip] += 1
    return starts, members


@njit(cache=True, error_model="numpy")
def _draw_strip(
    mesh, occluders, pose, lens, near, height, members, top, bottom, window, uv, depth, facing, footprint, stretch, seen
):
    width = depth.shape[1]
    nearness, owner = np.zeros((bottom - top) * width + LANES), np.zeros((bottom - top) * width + LANES, np.int32)
    records, numbers = np.empty((members.size + 1) * RECORDED), np.empty(members.size + 1, np.int32)
    batch, number = np.empty(setup.SIZE), np.int64(1)  # a bare 1 is a type of its own to numba
    records[:RECORDED], numbers[0] = np.nan, -1  # pixels that see nothing own the first
    for begin in range(0, members.size, BATCH):
        here = members[begin : begin + BATCH]
        setup.take(mesh, occluders, here, batch)
        setup.place(pose, here.size, batch)
        setup.bound(lens, near, width, height, here.size, batch)
        setup.set_up(lens, here, mesh.shape[0], batch)
        for j in range(here.size):
            if peek(batch, setup.DETERMINANT + j) == 0.0:
                continue
            won = fill(batch, j, 1.0 / near, top, bottom, width, number, nearness, owner)
            for term in range(RECORDED):  # sooner written than asked whether it was won, which nobody can guess
                poke(records, number * RECORDED + term, peek(batch, setup.RECORD + term * BATCH + j))
            poke(numbers, number, here[j])
            number += won
    parts = np.empty(RECORDED * MIXED)
    for row in range(bottom - top):
        shade(
            top + row, owner[row * width : (row + 1) * width], numbers, records, lens, window, parts,
            uv[row].reshape(2 * width), depth[row], facing[row], footprint[row], stretch[row], seen[row],
            mesh.shape[0],
        )  # fmt: skip


def draw_strips(
    mesh, occluders, pose, lens, near, order, starts, members, window, first_row,
    uv, depth, facing, footprint, stretch, triangle,
):  # fmt: skip
    """Draw the strips of order (int64) that the outputs' rows, from first_row down, fall into.

    mesh, occluders: float32 [N, 3, 5]. starts, members: of bin_triangles, occluders counted on after the mesh. window:
    float64 [4], u0 v0 u1 v1. uv float32 [rows, W, 2], depth, facing, footprint, stretch float32 and triangle int32
    [rows, W] are overwritten.
    """
    run_in_threads(
        _draw_some_strips, order.size,
        mesh, occluders, pose, lens, near, order, starts, members, window, first_row,
        uv, depth, facing, footprint, stretch, triangle,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_some_strips(
    first, last, mesh, occluders, pose, lens, near, order, starts, members, window, first_row,
    uv, depth, facing, footprint, stretch, triangle,
):  # fmt: skip
    for turn in range(first, last):
        strip = order[turn]
        top, bottom = max(strip * BAND, first_row), min((strip + 1) * BAND, first_row + depth.shape[0])
        begin, end = top - first_row, bottom - first_row
        _draw_strip(
            mesh, occluders, pose, lens, near, bottom, members[starts[strip] : starts[strip + 1]], top, bottom, window,
            uv[begin:end], depth[begin:end], facing[begin:end], footprint[begin:end], stretch[begin:end],
            triangle[begin:end],
        )  # fmt: skip
