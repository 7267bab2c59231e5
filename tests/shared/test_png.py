"""PNG files written in bands, read back by Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shared import png


@pytest.mark.parametrize("level", [png.SMALL, png.FAST])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (700, 4001), (300, 2000, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_is_written_is_read(shape: tuple[int, ...], kind: type, level: int):
    if kind is np.uint16 and len(shape) == 3:
        pytest.skip("Pillow reads 16-bit RGB as 8 bits; tests/backend/files reads it with GDAL")
    values = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    with Image.open(io.BytesIO(png.encoded(values, level=level))) as image:
        image.load()
        assert np.array_equal(np.asarray(image).astype(kind), values)


def test_several_bands_make_one_stream():
    values = np.random.default_rng(2).integers(0, 256, (3000, 3000, 3), np.uint8)  # 26 MB: seven bands
    parts = list(png.encode(values))
    assert sum(part[4:8] == b"IDAT" for part in parts) >= 8
    assert b"".join(parts) == png.encoded(values)  # whichever thread was first
    with Image.open(io.BytesIO(b"".join(parts))) as image:
        assert np.array_equal(np.asarray(image), values)


def test_fast_is_larger_and_holds_the_same():
    rows, columns = np.mgrid[0:500, 0:500]
    values = (np.sin(rows / 40) * np.cos(columns / 30) * 20000 + 30000).astype(np.uint16)
    fast, small = png.encoded(values, level=png.FAST), png.encoded(values)
    assert len(small) < len(fast) < values.nbytes


@pytest.mark.parametrize(
    "values", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4, 2), np.uint8)]
)
def test_other_types_are_refused(values: np.ndarray):
    with pytest.raises(ValueError, match="uint8 or uint16"):
        png.encoded(values)
