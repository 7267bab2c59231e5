"""Pictures as people have them: turned by the camera, transparent, grey, of 1 to 16 bits, with a palette, in print colours; and
pictures of parts in whatever colours.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from backend.files import kinds
from backend.files.raster_options import RasterOptions
from shared.algorithm import Port
from shared.arrays import CLASS_MAP, COLOR_IMAGE, MASK, ArrayKind
from shared.errors import DeclarationError, InvalidInput
from shared.srgb import linear_to_srgb

HEIGHT, WIDTH = 20, 30


def scene() -> np.ndarray:
    """[H, W, 3] uint8: smooth, with a red corner at the top left, so that every way of turning it is another picture."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.stack([8 * columns, 12 * rows, np.full_like(rows, 90)], axis=-1).astype(np.uint8)
    picture[:8, :8] = (250, 10, 10)
    return picture


def read(path: Path, kind: ArrayKind = COLOR_IMAGE, *, snap: bool = False) -> np.ndarray:
    port = Port(name="given", kind=kind, label="Given", help="", any_colors=kind is CLASS_MAP)
    return kinds.read(path, kinds.Reading(port=port, options=RasterOptions(snap_classes=snap))).values


def levels(path: Path) -> np.ndarray:
    """What a viewer shows: sRGB 0..255."""
    return linear_to_srgb(read(path)) * 255.0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_a_picture_is_read_the_way_up_it_is_shown(orientation: int, ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{ending}"
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(ending, {})
    Image.fromarray(scene()).save(path, exif=exif, **options)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's own names for the way back, by number
    upright = Image.fromarray(scene())
    if orientation > 1:
        upright = upright.transpose(Image.Transpose(back[orientation]))
    np.testing.assert_allclose(levels(path), np.asarray(upright), atol=6.0 if ending == "jpg" else 0.01)


def test_an_orientation_that_is_none_leaves_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    Image.fromarray(scene()).save(tmp_path / "odd.png", exif=exif)
    np.testing.assert_allclose(levels(tmp_path / "odd.png"), scene(), atol=0.01)


def test_transparent_parts_are_laid_over_white_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:10, :15], alpha[10:, :15] = 0, 51
    expected = 255 - (255 - scene().astype(float)) * (alpha / 255.0)[..., None]
    picture = Image.fromarray(np.dstack([scene(), alpha]))
    for name in ("a.png", "a.webp"):
        picture.save(tmp_path / name, **({"lossless": True, "exact": True} if name == "a.webp" else {}))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            np.testing.assert_allclose(levels(tmp_path / name), expected, atol=0.01)
        assert "50 % of it is transparent, and laid over white" in caplog.text
    Image.fromarray(np.dstack([scene()[..., 0], alpha]), "LA").save(tmp_path / "grey.png")
    np.testing.assert_allclose(levels(tmp_path / "grey.png")[..., 1], expected[..., 0], atol=0.01)
    picture = Image.fromarray(scene()).quantize(8)
    picture.save(tmp_path / "palette.png", transparency=2)
    shown = np.asarray(picture.convert("RGB"), float)
    shown[np.asarray(picture) == 2] = 255
    np.testing.assert_allclose(levels(tmp_path / "palette.png"), shown, atol=0.01)


def test_an_opaque_alpha_channel_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(scene()).convert("RGBA").save(tmp_path / "a.png")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_allclose(levels(tmp_path / "a.png"), scene(), atol=0.01)
    assert not caplog.text


def test_grey_of_any_depth_print_colours_and_palettes_are_read(tmp_path: Path) -> None:
    grey = scene()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    for name in ("grey.png", "grey16.png"):
        np.testing.assert_allclose(levels(tmp_path / name), np.repeat(grey[..., None], 3, 2), atol=0.01)
    lined = Image.fromarray(grey > 99)
    lined.save(tmp_path / "ink.png")
    np.testing.assert_allclose(levels(tmp_path / "ink.png")[..., 2], 255.0 * (grey > 99), atol=0.01)
    np.testing.assert_array_equal(read(tmp_path / "ink.png", MASK), grey > 99)
    picture = Image.fromarray(scene())
    picture.convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    np.testing.assert_allclose(levels(tmp_path / "print.jpg"), scene(), atol=8.0)
    picture.quantize(16).save(tmp_path / "palette.png")
    expected = np.asarray(picture.quantize(16).convert("RGB"))
    np.testing.assert_allclose(levels(tmp_path / "palette.png"), expected, atol=0.01)


# Parts ---------------------------------------------------------------------------------------------------------------


def parts() -> np.ndarray:
    """[H, W] uint8: four parts, one of a single pixel."""
    numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
    numbers[4:12, 3:20], numbers[10:18, 16:28], numbers[2, 27] = 1, 2, 3
    return numbers


COLORS = np.array([(20, 60, 200), (40, 0, 0), (40, 200, 0), (250, 250, 250)], np.uint8)  # in ascending order


def test_each_colour_is_a_part(tmp_path: Path) -> None:
    picture = Image.fromarray(COLORS[parts()])
    picture.save(tmp_path / "rgb.png")
    picture.quantize(4).save(tmp_path / "palette.png")
    Image.fromarray(COLORS[parts()].astype(np.uint8)).save(tmp_path / "rgb.tif")
    for name in ("rgb.png", "rgb.tif"):
        np.testing.assert_array_equal(read(tmp_path / name, CLASS_MAP), parts(), err_msg=name)
    np.testing.assert_array_equal(read(tmp_path / "palette.png", CLASS_MAP), np.asarray(picture.quantize(4)))


def test_grey_numbers_stay_and_large_ones_are_counted(tmp_path: Path) -> None:
    sparse = np.array([0, 7, 90, 255], np.uint8)[parts()]
    Image.fromarray(parts()).save(tmp_path / "numbers.png")
    Image.fromarray(sparse).save(tmp_path / "sparse.png")
    Image.fromarray(sparse.astype(np.uint16) * 257).save(tmp_path / "wide.png")
    Image.fromarray(np.repeat(sparse[..., None], 3, 2)).save(tmp_path / "grey_rgb.png")
    np.save(tmp_path / "floats.npy", parts().astype(np.float32))
    expected = {"numbers.png": parts(), "sparse.png": sparse, "wide.png": parts(), "grey_rgb.png": sparse}
    for name, numbers in (expected | {"floats.npy": parts()}).items():
        np.testing.assert_array_equal(read(tmp_path / name, CLASS_MAP), numbers, err_msg=name)


def soft(path: Path, colors: np.ndarray) -> None:
    """A disc on a ground with smooth edges, as image editors draw it."""
    picture = Image.new("RGB", (480, 480), tuple(map(int, colors[0])))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((90, 90, 400, 400), fill=tuple(map(int, colors[1])))
    draw.rectangle((300, 20, 420, 210), fill=tuple(map(int, colors[2])))
    picture.resize((60, 60), Image.Resampling.LANCZOS).save(path)


def test_soft_edges_are_counted_and_refused(tmp_path: Path) -> None:
    soft(tmp_path / "soft.png", COLORS)
    soft(tmp_path / "grey.png", np.array([[0] * 3, [120] * 3, [255] * 3]))
    for name in ("soft.png", "grey.png"):
        with pytest.raises(InvalidInput, match=r"has \d+ colours, \d+ of which lie only along edges") as refused:
            read(tmp_path / name, CLASS_MAP)
        assert "no soft edges, or add --snap-classes" in refused.value.hint
        snapped = read(tmp_path / name, CLASS_MAP, snap=True)
        assert len(np.unique(snapped)) == 3
        assert snapped[30, 25] != snapped[2, 2] != snapped[15, 45]


def test_a_photograph_and_what_is_no_number_are_no_parts(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    with pytest.raises(InvalidInput, match="1,600 colours, 1,600 of which"):
        read(tmp_path / "photo.png", CLASS_MAP)
    many = np.arange(400, dtype=np.uint16).reshape(20, 20).repeat(2, 0).repeat(2, 1)
    Image.fromarray(many).save(tmp_path / "many.png")
    with pytest.raises(InvalidInput, match="400 colours; at most 256 parts"):
        read(tmp_path / "many.png", CLASS_MAP)
    np.save(tmp_path / "half.npy", np.full((4, 4), 0.5, np.float32))
    with pytest.raises(InvalidInput, match="has fractions"):
        read(tmp_path / "half.npy", CLASS_MAP)
    np.save(tmp_path / "below.npy", np.full((4, 4), -3, np.int16))
    with pytest.raises(InvalidInput, match="runs from -3 to -3"):
        read(tmp_path / "below.npy", CLASS_MAP)


def test_only_a_class_map_without_classes_takes_any_colours() -> None:
    with pytest.raises(DeclarationError, match="takes any colours"):
        Port(name="image", kind=COLOR_IMAGE, label="Image", help="", any_colors=True)
