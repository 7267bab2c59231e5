"""Sixteen or eight float32 side by side in numba code: loads, stores and arithmetic that become vector instructions.

For the inner loops where the compiler, left to itself, does not see that neighbouring elements may go together (numba's
negative indices, arrays that might overlap). What is computed is said exactly, so bytes do not depend on what it
would have seen. On processors with narrower registers LLVM splits a vector into several. Nothing here checks bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import models, register_model

intrinsic: Any = extending.intrinsic  # it takes the first parameter away, which type checkers cannot know


compile_function: Any = njit
# For functions that make no arrays: without counting references to those they are given, which takes longer than
# looking one number up.
uncounted = compile_function(cache=True, _nrt=False)


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
def peek(typing: Any, array: Any, at: Any) -> Any:
    """array[at] of a flat array for an `at` that is not negative, which numba's own indexing would look for every time."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), generate


@intrinsic
def poke(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] = value for a flat array and an `at` that is not negative."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


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


def picker(*places: int) -> Any:
    """A function that makes eight lanes out of eight, each from the place told; place 8 is nothing, 0."""

    def pick(typing: Any, lanes: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            nothing = ir.Constant(args[0].type, [0.0] * 8)
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(places))
            return builder.shuffle_vector(args[0], nothing, mask)

        return lanes(lanes), generate

    return intrinsic(pick)


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
def divide(typing: Any, a: Any, b: Any) -> Any:
    """a / b."""
    return a(a, b), lambda context, builder, signature, args: builder.fdiv(args[0], args[1])


@intrinsic
def square_root(typing: Any, a: Any) -> Any:
    """The root of every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(args[0].type, [args[0].type])
        root = get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{signature.args[0].count}f32")
        return builder.call(root, args)

    return a(a), generate


@intrinsic
def larger(typing: Any, a: Any, b: Any) -> Any:
    """The larger of two, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return a(a, b), generate


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
