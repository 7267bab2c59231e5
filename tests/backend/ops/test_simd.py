"""The vector intrinsics against NumPy, with llvmlite's typed pointers and, as newer llvmlite knows them only, without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]

# Every load and every address in the two files must say its type: newer llvmlite cannot tell it from the pointer.
STRICT = """
import sys
from pathlib import Path
from llvmlite import ir
own, seen = {"simd.py", "triangle_fill_cpu.py"}, []
def strict(method, key):
    plain = getattr(ir.IRBuilder, method)
    def checked(self, pointer, *rest, **named):
        name = Path(sys._getframe(1).f_code.co_filename).name
        if name in own:
            seen.append(name)
            assert named.get(key) is not None, f"{name}:{sys._getframe(1).f_lineno}: {method} without {key}"
        return plain(self, pointer, *rest, **named)
    setattr(ir.IRBuilder, method, checked)
strict("load", "typ")
strict("gep", "source_etype")
from tests.backend.ops import test_simd
test_simd.check_vectors()
test_simd.check_triangle()
assert set(seen) == own, set(seen)
"""


def check_vectors() -> None:
    """One kernel with loads, stores, arithmetic, comparison, shuffles and transposition."""
    from numba import njit

    from backend.ops import simd

    @njit
    def compute(a, b, result, turned, ints):
        x, y = simd.load_16(a, 1), simd.load_16(b, 0)
        simd.fetch_ahead(b, 0)
        simd.store(result, 0, simd.multiply_add(x, y, simd.splat_16(np.float32(0.5))))
        simd.store(
            result, 16, simd.divide(simd.subtract(x, y), simd.square_root(simd.larger(y, simd.splat_16(y_least))))
        )
        simd.store(result, 32, simd.where_positive(x, simd.smaller(x, y)))
        simd.store(result, 48, simd.interleave_first(x, y))
        whole = simd.whole_multiply_add(simd.whole(y), simd.splat_whole(np.int32(3)), simd.splat_whole(np.int32(-2)))
        simd.store(result, 64, simd.real(whole))
        simd.store(result, 80, simd.where_at_least(x, simd.splat_16(np.float32(0)), x, y))
        simd.poke(ints, 0, np.int64(simd.any_at_least(x, simd.splat_16(np.float32(1e9)))))
        simd.poke(ints, 1, np.int64(simd.any_at_least(x, simd.splat_16(simd.peek(a, 3)))))
        rows = simd.load_8(a, 0), simd.load_8(a, 8), simd.load_8(b, 0), simd.load_8(b, 8)
        simd.store_turned(turned, 0, rows[0], rows[1], rows[2], rows[3], rows[3], rows[2], rows[1], rows[0])
        return simd.total(x)

    y_least = np.float32(1e-3)
    random = np.random.default_rng(1)
    a, b = random.normal(size=17).astype(np.float32), random.uniform(0, 9, 16).astype(np.float32)
    result, turned, ints = np.zeros(96, np.float32), np.zeros(64, np.float32), np.zeros(2, np.int64)
    total = compute(a, b, result, turned, ints)
    x, y = a[1:], b
    assert np.allclose(result[:16], x * y + np.float32(0.5), rtol=1e-6)
    assert np.array_equal(result[16:32], (x - y) / np.sqrt(np.maximum(y, y_least)))
    assert np.array_equal(result[32:48], np.where(x > 0, np.minimum(x, y), 0))
    assert np.array_equal(result[48:64], np.stack([x[:8], y[:8]], axis=1).ravel())
    assert np.array_equal(result[64:80], np.trunc(y) * 3 - 2)
    assert np.array_equal(result[80:96], np.where(x >= 0, x, y))
    assert ints.tolist() == [0, 1]
    rows = np.stack([a[:8], a[8:16], b[:8], b[8:], b[8:], b[:8], a[8:16], a[:8]])
    assert np.array_equal(turned.reshape(8, 8), rows.T)
    added = np.float32(0)
    for value in x:
        added += value
    assert total == added


def check_triangle() -> None:
    """The pixels that one triangle of a batch covers, and a nearer one over it."""
    from backend.ops.surface import triangle_setup_cpu as setup
    from backend.ops.surface.triangle_fill_cpu import LANES, fill

    width = height = 24
    batch = np.zeros(setup.SIZE)
    for number, (a, value) in enumerate(((1.0, 0.5), (1.0, 0.75))):
        for place, bound in enumerate((0, width - 1, 0, height - 1)):
            batch[setup.BOX + place * setup.BATCH + number] = bound
        # x >= 5 + 9 number and x + y < 20 (an edge itself belongs to the triangle on its right), all rows
        for place, term in enumerate((a, 0.0, -5.0 - 9.0 * number, -1.0, -1.0, 20.0, 0.0, 0.0, 1.0)):
            batch[setup.EDGES + place * setup.BATCH + number] = term
        batch[setup.RECORD + 2 * setup.BATCH + number] = value
    nearness, owner = np.zeros(width * height + LANES), np.zeros(width * height + LANES, np.int32)
    for number in range(2):
        assert fill(batch, number, 10.0, 0, height, width, number + 1, nearness, owner)
    y, x = np.mgrid[:height, :width] + 0.5
    expected = np.where((x >= 14) & (x + y < 20), 2, np.where((x >= 5) & (x + y < 20), 1, 0))
    assert np.array_equal(owner[: width * height].reshape(height, width), expected)
    assert np.array_equal(nearness[: width * height], np.array([0, 0.5, 0.75])[expected.ravel()])


def test_vectors_are_what_numpy_computes() -> None:
    check_vectors()


@pytest.mark.parametrize("typed", ["1", "0"])
def test_every_pointer_says_its_type(typed: str, tmp_path: Path) -> None:
    """A fresh cache, or nothing would be compiled."""
    done = subprocess.run(
        [sys.executable, "-c", STRICT],
        cwd=ROOT,
        env={**os.environ, "LLVMLITE_ENABLE_IR_LAYER_TYPED_POINTERS": typed, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
