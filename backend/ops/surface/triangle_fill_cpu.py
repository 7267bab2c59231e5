"""Z-buffers one triangle: which pixels of a strip it covers, and where it is nearer than what they have.

Numbers come from triangle_setup_cpu.py; the rules of edges and depths are described in rasterization.py.
A strip's depths and owners are flat, with LANES more at the end, which eight pixels beside each other may reach into.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from backend.ops.simd import element_address, intrinsic, peek
from backend.ops.surface import triangle_setup_cpu as setup
from backend.ops.surface.triangle_setup_cpu import BATCH

LANES = 8
_FEW = 32  # columns up to which all of them are sooner tried than some left out by quotients
_LEAST = float(np.finfo(np.float64).tiny)  # what is above 0; no smaller, for threads may take denormal numbers for 0


@intrinsic
def _claim_eight(
    typing: Any, nearness: Any, owner: Any, at: Any, count: Any, number: Any, x: Any, edges: Any, plane: Any, rest: Any,
    nearest: Any,
) -> Any:  # fmt: skip
    """nearness[at], nearness[at + 1] ... and their owners, count of them but eight at most, go to triangle number where all
    three edges a x + rest >= least, and plane x + rest is above what they have and at most nearest. Whether any does.

    x: of the first pixel's centre; the next ones' are 1 apart. edges: three times a, rest, least.
    """
    floats, ints = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(32), LANES)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def spread(value: Any, kind: Any) -> Any:
            first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(first, first, places)

        def address(place: int, kind: Any) -> Any:
            return element_address(context, builder, signature.args[place], args[place], args[2], kind)

        def linear(slope: Any, constant: Any) -> Any:
            return builder.fadd(builder.fmul(spread(slope, floats), xs), spread(constant, floats))

        depths, owners = address(0, floats), address(1, ints)
        xs = builder.fadd(spread(args[5], floats), ir.Constant(floats, [float(lane) for lane in range(LANES)]))
        narrow = builder.trunc(args[3], ir.IntType(32))
        wins = builder.icmp_signed("<", ir.Constant(ints, list(range(LANES))), spread(narrow, ints))
        for edge in range(3):
            a, constant, least = (builder.extract_value(args[6], 3 * edge + term) for term in range(3))
            covered = builder.fcmp_ordered(">=", linear(a, constant), spread(least, floats))
            wins = builder.and_(wins, covered)
        value = linear(args[7], args[8])
        wins = builder.and_(wins, builder.fcmp_ordered("<=", value, spread(args[9], floats)))
        nobody = ir.Constant(ir.IntType(LANES), 0)
        result = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(1), 0))
        with builder.if_then(builder.icmp_unsigned("!=", builder.bitcast(wins, nobody.type), nobody)):
            held, before = builder.load(depths, align=8, typ=floats), builder.load(owners, align=4, typ=ints)
            wins = builder.and_(wins, builder.fcmp_ordered(">", value, held))
            mine = spread(builder.trunc(args[4], ir.IntType(32)), ints)
            builder.store(builder.select(wins, value, held), depths, align=8)
            builder.store(builder.select(wins, mine, before), owners, align=4)
            builder.store(builder.icmp_unsigned("!=", builder.bitcast(wins, nobody.type), nobody), result)
        return builder.load(result, typ=ir.IntType(1))

    real, whole = types.float64, types.intp
    return types.boolean(
        nearness, owner, whole, whole, whole, real, types.UniTuple(real, 9), real, real, real
    ), generate


@njit(cache=True, error_model="numpy")
def _trim(a, rest, left, right):
    """left..right without most of the pixels that an edge function does not cover; _claim_eight decides on the others.

    The quotient is off by its rounding, 1e-12 px; half a pixel is left for it.
    """
    if a == 0.0:
        return left, right
    zero = min(max(-rest / a - 0.5, left - 1.0), right + 1.0)
    if a > 0.0:
        return max(np.int64(np.floor(zero - 0.5)), left), right
    return left, min(np.int64(np.ceil(zero + 0.5)), right)


@njit(cache=True, error_model="numpy")
def _least(a, b):
    """What an edge function a x + b y + c must at least be: on the edge itself one side of two has the pixel."""
    return 0.0 if a > 0.0 or (a == 0.0 and b > 0.0) else _LEAST


@njit(cache=True, error_model="numpy")
def fill(batch, j, nearest, top, bottom, width, number, nearness, owner):
    """Z-buffer triangle j of a batch, as `number`, into rows top to bottom - 1 of width pixels; whether it won any.

    nearest: the largest 1/z that is drawn. nearness float64, owner int32: flat, rows * width + LANES.
    """
    left, right = np.int64(peek(batch, setup.BOX + j)), np.int64(peek(batch, setup.BOX + BATCH + j))
    first = max(np.int64(peek(batch, setup.BOX + 2 * BATCH + j)), top)
    last = min(np.int64(peek(batch, setup.BOX + 3 * BATCH + j)), bottom - 1)
    at = setup.EDGES + j
    a0, b0, c0 = peek(batch, at), peek(batch, at + BATCH), peek(batch, at + 2 * BATCH)
    a1, b1, c1 = peek(batch, at + 3 * BATCH), peek(batch, at + 4 * BATCH), peek(batch, at + 5 * BATCH)
    a2, b2, c2 = peek(batch, at + 6 * BATCH), peek(batch, at + 7 * BATCH), peek(batch, at + 8 * BATCH)
    at = setup.RECORD + j
    a, b, c = peek(batch, at), peek(batch, at + BATCH), peek(batch, at + 2 * BATCH)
    least0, least1, least2, won = _least(a0, b0), _least(a1, b1), _least(a2, b2), False
    for row in range(first, last + 1):
        y, at = row + 0.5, (row - top) * width
        rest0, rest1, rest2 = b0 * y + c0, b1 * y + c1, b2 * y + c2
        begin, end = left, right
        if right - left >= _FEW:
            begin, end = _trim(a0, rest0, begin, end)
            begin, end = _trim(a1, rest1, begin, end)
            begin, end = _trim(a2, rest2, begin, end)
        edges = (a0, rest0, least0, a1, rest1, least1, a2, rest2, least2)
        for column in range(begin, end + 1, LANES):
            won |= _claim_eight(
                nearness, owner, at + column, end + 1 - column, number, column + 0.5, edges, a, b * y + c, nearest
            )
    return won
