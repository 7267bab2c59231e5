"""Pictures in sequence to files: numbered PNGs, which every editor takes, or one GIF, which every browser plays.

Films are not written here: Blender has an encoder, and none is among what the backend installs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from backend.files.whole_files import whole

FORMATS = ("gif", "png")
COLORS = 256
SAMPLED = 9  # frames that the colours of a GIF are chosen from
SAMPLE_PX = 160  # their longer side


def written_png(frames: Iterable[np.ndarray], folder: Path, stem: str, count: int) -> Iterator[np.ndarray]:
    """The frames, uint8 [H, W, 3], each written as it passes: stem.0001.png and so on. Raises StorageFull and InvalidInput."""
    for number, frame in enumerate(frames, 1):
        with whole(folder / png_name(stem, number, count)) as temporary:
            Image.fromarray(frame).save(temporary, compress_level=4)
        yield frame


def png_name(stem: str, number: int, count: int) -> str:
    return f"{stem}.{number:0{max(4, len(str(count)))}d}.png"


def write_gif(
    frames: Iterable[np.ndarray], path: Path, *, fps: float, count: int, hold_s: float, palette: Image.Image
) -> None:
    """One film that repeats. fps: frames per second, at most 50; hold_s: how long the last one stays. palette: colours().

    A GIF counts hundredths of a second: frames get 4 or 5 of them in turns where that is what the rate asks for.
    """
    pictures = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first = next(pictures)
    with whole(path) as temporary:
        first.save(
            temporary,
            save_all=True,
            append_images=pictures,
            duration=durations_ms(count, fps, hold_s),
            loop=0,
            disposal=1,
            optimize=False,
        )


def durations_ms(count: int, fps: float, hold_s: float) -> list[int]:
    """Of each frame, in steps of 10: none drifts from its time at `fps` by more than half a step."""
    ends = [round(100 * (number + 1) / fps) for number in range(count)]
    lengths = [10 * max(end - start, 1) for start, end in zip([0, *ends], ends, strict=False)]
    return [*lengths[:-1], lengths[-1] + 10 * round(100 * hold_s)]


def colors(frames: Iterator[np.ndarray]) -> Image.Image:
    """One palette for all frames of a GIF, so that nothing flickers."""
    small = []
    for frame in frames:
        picture = Image.fromarray(frame)
        picture.thumbnail((SAMPLE_PX, SAMPLE_PX), Image.Resampling.BOX)
        small.append(np.asarray(picture))
    return Image.fromarray(np.concatenate(small)).quantize(COLORS, method=Image.Quantize.MEDIANCUT)
