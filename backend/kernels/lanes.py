"""Sixteen or eight float32 side by side in numba code: loads, stores and arithmetic that become vector instructions.

For the inner loops where the compiler, left to itself, does not see that neighbouring elements may go together (numba's
negative indices, arrays that might overlap). What is computed is said exactly, so bytes do not depend on what it
would have seen. On processors with narrower registers LLVM splits a vector into several. Nothing here checks bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model


class Lanes(types.Type):
    """The type of `count` float32 side by side."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Lanes{count}")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.FloatType(), kind.count))


LANES_16, LANES_8 = Lanes(16), Lanes(8)


def _address(context: Any, builder: Any, signature: Any, args: Any, kind: Lanes) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    start = builder.gep(array.data, [args[1]])
    return builder.bitcast(start, ir.VectorType(ir.FloatType(), kind.count).as_pointer())


def _loader(kind: Lanes) -> Any:
    def load(typing: Any, array: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            loaded = builder.load(_address(context, builder, signature, args, kind))
            loaded.align = 4
            return loaded

        return kind(array, types.intp), generate

    return intrinsic(load)


load_16, load_8 = _loader(LANES_16), _loader(LANES_8)


@intrinsic
def store(typing: Any, array: Any, at: Any, lanes: Any) -> Any:
    """Write lanes to array[at], array[at + 1] ..."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        stored = builder.store(args[2], _address(context, builder, signature, args, signature.args[2]))
        stored.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


def _splatter(kind: Lanes) -> Any:
    def splat(typing: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            lanes = ir.Constant(ir.VectorType(ir.FloatType(), kind.count), ir.Undefined)
            first = builder.insert_element(lanes, args[0], ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
            return builder.shuffle_vector(first, lanes, mask)

        return kind(types.float32), generate

    return intrinsic(splat)


splat_16, splat_8 = _splatter(LANES_16), _splatter(LANES_8)


@intrinsic
def pack_8(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Eight numbers as lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.Constant(ir.VectorType(ir.FloatType(), 8), ir.Undefined)
        for place, value in enumerate(args):
            lanes = builder.insert_element(lanes, value, ir.Constant(ir.IntType(32), place))
        return lanes

    return LANES_8(*(types.float32,) * 8), generate


@intrinsic
def multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where the processor can, twice where it cannot."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.fmul(args[0], args[1], flags=("contract",))
        return builder.fadd(product, args[2], flags=("contract",))

    return a(a, b, c), generate


@intrinsic
def multiply(typing: Any, a: Any, b: Any) -> Any:
    """a b."""
    return a(a, b), lambda context, builder, signature, args: builder.fmul(args[0], args[1])


@intrinsic
def where_positive(typing: Any, test: Any, value: Any) -> Any:
    """value where test is above 0, otherwise 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, [0.0] * signature.args[0].count)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], zero)

    return value(test, value), generate


@intrinsic
def total(typing: Any, lanes: Any) -> Any:
    """The sum of the lanes, from the first to the last."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        result = builder.extract_element(args[0], ir.Constant(ir.IntType(32), 0))
        for place in range(1, signature.args[0].count):
            result = builder.fadd(result, builder.extract_element(args[0], ir.Constant(ir.IntType(32), place)))
        return result

    return types.float32(lanes), generate
