"""Sixteen or eight float32 side by side in numba code: loads, stores and arithmetic that become vector instructions.

For the inner loops where the compiler, left to itself, does not see that neighbouring elements may go together (numba's
negative indices, arrays that might overlap). What is computed is said exactly, so bytes do not depend on what it
would have seen. On processors with narrower registers LLVM splits a vector into several. Nothing here checks bounds.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import models, register_model

intrinsic: Any = extending.intrinsic  # it takes the first parameter away, which type checkers cannot know


compile_function: Any = njit
# For functions that make no arrays: without counting references to those they are given, which takes longer than
# looking one number up.
njit_no_refcount = compile_function(cache=True, _nrt=False)


class Vector(types.Type):
    """The type of `count` float32 side by side, or of as many int32."""

    def __init__(self, count: int, whole: bool = False) -> None:
        self.count = count
        self.llvm = ir.VectorType(ir.IntType(32) if whole else ir.FloatType(), count)
        super().__init__(name=f"{'int32' if whole else 'float32'}x{count}")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


FLOAT_16, FLOAT_8, INT_16 = Vector(16), Vector(8), Vector(16, whole=True)


def element_address(context: Any, builder: Any, array_type: Any, array: Any, at: Any, pointee: Any = None) -> Any:
    """The address of array[at] of a flat array. pointee: LLVM's type of what is read or written there, an element otherwise.

    LLVM's pointers know no type of what they point to, llvmlite's still may: so every address says what its steps are,
    and every load what it loads. Where pointers are opaque, the cast is none.
    """
    element = context.get_data_type(array_type.dtype)
    start = builder.gep(context.make_array(array_type)(context, builder, array).data, [at], source_etype=element)
    return start if pointee is None else builder.bitcast(start, pointee.as_pointer())


def _loader(kind: Vector) -> Any:
    def load(typing: Any, array: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            address = element_address(context, builder, signature.args[0], args[0], args[1], kind.llvm)
            return builder.load(address, align=4, typ=kind.llvm)

        return kind(array, types.intp), generate

    return intrinsic(load)


load_16, load_8 = _loader(FLOAT_16), _loader(FLOAT_8)


@intrinsic
def load_features(typing: Any, array: Any, at: Any) -> Any:
    """Eight numbers from array[at] on as float32, of an array of float32 or of bfloat16's bits (uint16)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if array.dtype == types.float32:
            address = element_address(context, builder, array, args[0], args[1], FLOAT_8.llvm)
            return builder.load(address, align=4, typ=FLOAT_8.llvm)
        bits = ir.VectorType(ir.IntType(16), 8)
        address = element_address(context, builder, array, args[0], args[1], bits)
        upper = builder.shl(builder.zext(builder.load(address, align=2, typ=bits), _WHOLE_8), _all_8(16))
        return builder.bitcast(upper, FLOAT_8.llvm)

    return FLOAT_8(array, types.intp), generate


@intrinsic
def store_features(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write eight float32 to array[at] and after, as load_features reads them: bfloat16 rounded to nearest, ties to even."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if array.dtype == types.float32:
            value, align = args[2], 4
        else:
            whole = builder.bitcast(args[2], _WHOLE_8)
            odd = builder.and_(builder.lshr(whole, _all_8(16)), _all_8(1))
            rounded = builder.lshr(builder.add(builder.add(whole, _all_8(0x7FFF)), odd), _all_8(16))
            value, align = builder.trunc(rounded, ir.VectorType(ir.IntType(16), 8)), 2
        address = element_address(context, builder, array, args[0], args[1], value.type)
        builder.store(value, address, align=align)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


_WHOLE_8 = ir.VectorType(ir.IntType(32), 8)


def _all_8(value: int) -> Any:
    return ir.Constant(_WHOLE_8, [value] * 8)


@intrinsic
def peek(typing: Any, array: Any, at: Any) -> Any:
    """array[at] of a flat array for an `at` that is not negative, which numba's own indexing would look for every time."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = element_address(context, builder, signature.args[0], args[0], args[1])
        return builder.load(address, typ=context.get_data_type(signature.args[0].dtype))

    return array.dtype(array, types.intp), generate


@intrinsic
def poke(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] = value for a flat array and an `at` that is not negative."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], element_address(context, builder, signature.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


@intrinsic
def store(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector to array[at], array[at + 1] ..."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = element_address(context, builder, signature.args[0], args[0], args[1], signature.args[2].llvm)
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


def _splatter(kind: Vector) -> Any:
    def splat(typing: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            undefined = ir.Constant(kind.llvm, ir.Undefined)
            first = builder.insert_element(undefined, args[0], ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
            return builder.shuffle_vector(first, undefined, mask)

        return kind(types.int32 if kind is INT_16 else types.float32), generate

    return intrinsic(splat)


splat_16, splat_8, splat_whole = _splatter(FLOAT_16), _splatter(FLOAT_8), _splatter(INT_16)


def picker(*places: int) -> Any:
    """A function that makes a vector of eight out of another, each number from the given place; place 8 stands for 0."""

    def pick(typing: Any, vector: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            nothing = ir.Constant(args[0].type, [0.0] * 8)
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(places))
            return builder.shuffle_vector(args[0], nothing, mask)

        return vector(vector), generate

    return intrinsic(pick)


def _shuffler(places: list[int]) -> Any:
    """A function that makes a vector of sixteen out of two: places 0..15 are the first's, 16..31 the second's."""

    def shuffle(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.shuffle_vector(args[0], args[1], ir.Constant(ir.VectorType(ir.IntType(32), 16), places))

        return a(a, b), generate

    return intrinsic(shuffle)


# Of 32 numbers in a row: every other one, from the first or the second on.
evens, odds = _shuffler([2 * place for place in range(16)]), _shuffler([2 * place + 1 for place in range(16)])
# a0 b0 a1 b1 ..., its first and its last sixteen.
interleave_first = _shuffler([place // 2 + 16 * (place % 2) for place in range(16)])
interleave_last = _shuffler([8 + place // 2 + 16 * (place % 2) for place in range(16)])


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
def add(typing: Any, a: Any, b: Any) -> Any:
    """a + b."""
    return a(a, b), lambda context, builder, signature, args: builder.fadd(args[0], args[1])


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
def smaller(typing: Any, a: Any, b: Any) -> Any:
    """The smaller of two, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return a(a, b), generate


@intrinsic
def subtract(typing: Any, a: Any, b: Any) -> Any:
    """a - b."""
    return a(a, b), lambda context, builder, signature, args: builder.fsub(args[0], args[1])


@intrinsic
def whole(typing: Any, a: Any) -> Any:
    """Towards zero; what does not fit into int32 is anything."""
    result = INT_16
    return result(a), lambda context, builder, signature, args: builder.fptosi(args[0], result.llvm)


@intrinsic
def real(typing: Any, a: Any) -> Any:
    """Vectors of int32 as float32."""
    result = FLOAT_16
    return result(a), lambda context, builder, signature, args: builder.sitofp(args[0], result.llvm)


@intrinsic
def whole_multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c of vectors of int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.add(builder.mul(args[0], args[1]), args[2])

    return a(a, b, c), generate


@intrinsic
def where_at_least(typing: Any, test: Any, bound: Any, yes: Any, no: Any) -> Any:
    """yes where test >= bound, otherwise no."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">=", args[0], args[1]), args[2], args[3])

    return yes(test, bound, yes, no), generate


@intrinsic
def any_at_least(typing: Any, test: Any, bound: Any) -> Any:
    """Whether test >= bound in any lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.IntType(signature.args[0].count)
        found = builder.bitcast(builder.fcmp_ordered(">=", args[0], args[1]), bits)
        return builder.icmp_unsigned("!=", found, ir.Constant(bits, 0))

    return types.boolean(test, bound), generate


@intrinsic
def store_turned(
    typing: Any, array: Any, at: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any
) -> Any:
    """Write eight vectors of eight from array[at] on, transposed: first the first number of each, then the second of each ..."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, kind = list(args[2:]), signature.args[2]
        for half in (4, 2, 1):  # swap the blocks beside the diagonal, smaller and smaller ones
            low = [j if not j & half else 8 + (j & ~half) for j in range(8)]
            high = [j + half if not j & half else 8 + j for j in range(8)]
            turned = list(rows)
            for i in range(8):
                if not i & half:
                    turned[i] = _shuffled(builder, rows[i], rows[i + half], low)
                    turned[i + half] = _shuffled(builder, rows[i], rows[i + half], high)
            rows = turned
        for i, row in enumerate(rows):
            place = builder.add(args[1], ir.Constant(args[1].type, 8 * i))
            address = element_address(context, builder, signature.args[0], args[0], place, kind.llvm)
            builder.store(row, address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, b, c, d, e, f, g, h), generate


def _shuffled(builder: Any, first: Any, second: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


@intrinsic
def fetch_ahead(typing: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of array[at], which will be written or read soon."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, number = ir.IntType(8), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), number, number, number])
        prefetch = get_or_insert_function(builder.module, kind, f"llvm.prefetch.{byte.as_pointer().intrinsic_name}")
        address = element_address(context, builder, signature.args[0], args[0], args[1], byte)
        builder.call(prefetch, [address, *(ir.Constant(number, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def where_positive(typing: Any, test: Any, value: Any) -> Any:
    """value where test is above 0, otherwise 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, [0.0] * signature.args[0].count)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], zero)

    return value(test, value), generate


@intrinsic
def total(typing: Any, vector: Any) -> Any:
    """The sum of the lanes, from the first to the last."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        result = builder.extract_element(args[0], ir.Constant(ir.IntType(32), 0))
        for place in range(1, signature.args[0].count):
            result = builder.fadd(result, builder.extract_element(args[0], ir.Constant(ir.IntType(32), place)))
        return result

    return types.float32(vector), generate


# Vectors in formulas: + - * /, a product and the sum that takes it rounded once where the processor can. A single float32
# beside a vector stands for as many of it.


def _operator(instruction: str) -> Any:
    def combine(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(args[0], args[1], flags=("contract",))

        return a(a, b), generate

    return intrinsic(combine)


def _formula(symbol: Any, combine: Any) -> None:
    def typed(a, b):  # numba wants the signature of the lambdas
        if isinstance(a, Vector) and isinstance(b, Vector):
            return lambda a, b: combine(a, b)
        if a == FLOAT_16 and b == types.float32:
            return lambda a, b: combine(a, splat_16(b))
        if a == types.float32 and b == FLOAT_16:
            return lambda a, b: combine(splat_16(a), b)
        return None

    extending.overload(symbol)(typed)


_formula(operator.add, _operator("fadd"))
_formula(operator.sub, _operator("fsub"))
_formula(operator.mul, _operator("fmul"))
_formula(operator.truediv, _operator("fdiv"))


@intrinsic
def absolute(typing: Any, a: Any) -> Any:
    """Without the sign, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(args[0].type, [args[0].type])
        return builder.call(
            get_or_insert_function(builder.module, kind, f"llvm.fabs.v{signature.args[0].count}f32"), args
        )

    return a(a), generate


@intrinsic
def total_in_halves(typing: Any, vector: Any) -> Any:
    """The sum of the lanes: each half's with the other's, and so on, which takes four steps instead of sixteen."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, count = args[0], signature.args[0].count
        while count > 1:
            count //= 2
            halves = [_shuffled(builder, value, value, [first + i for i in range(count)]) for first in (0, count)]
            value = builder.fadd(*halves)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float32(vector), generate
