"""`painting`: what belongs to a painting besides painting it: parts of a photograph, a timelapse and statistics of its strokes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backend.cli import DONE, PROGRAM, Parser, UsageError
from backend.commands import suggestions
from shared.errors import InvalidInput, InvalidParameter

if TYPE_CHECKING:
    import numpy as np

    from backend.commands.progress_bar import Bar
    from shared.arrays import Array

ACTIONS = {
    "segments": "find the parts of a photograph, for run paint --segments",
    "timelapse": "pictures of saved strokes as they are painted: a GIF or numbered PNGs",
    "statistics": "a page of plots of saved strokes",
}
LARGEST_PX = 1080  # of a timelapse where no size is given
MOST_FRAMES, MOST_FPS, MOST_PX = 100_000, 240.0, 16384
GIF_FPS = 50.0  # browsers show faster ones slowly
MP4_HINT = "A GIF or PNG frames can be written here; in Blender, MP4 in the box of a painting makes a film."


def main(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return DONE if argv else 2
    actions = {"segments": _segments, "timelapse": _timelapse, "statistics": _statistics}
    if argv[0] not in actions:
        near = suggestions.nearest(argv[0], dict.fromkeys(ACTIONS, ""))
        hint = f"Did you mean {near}?" if near else f"Available: {', '.join(ACTIONS)}."
        raise UsageError(f"There is no painting command {argv[0]!r}.", hint=hint)
    return actions[argv[0]](argv[1:])


def _overview() -> str:
    lines = [f"usage: {PROGRAM} painting COMMAND FILE [options]", "", "commands:"]
    lines += [f"  {name:<12}{text}" for name, text in ACTIONS.items()]
    return "\n".join([*lines, "", f"{PROGRAM} painting COMMAND --help shows its options."])


def _parser(action: str, file: str, text: str) -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} painting {action}",
        usage=f"{PROGRAM} painting {action} FILE [options]",
        description=text,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=file)
    default = Path("out") / action
    parser.add_argument(
        "--out", type=Path, default=default, metavar="DIR", help=f"folder for the results [default: {default}]"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


# Segments ------------------------------------------------------------------------------------------------------------


def _segments(argv: Sequence[str]) -> int:
    parser = _parser(
        "segments",
        "a photograph or any other image",
        "Finds the parts of a picture and writes them as segments.png, a colour for each, which can be edited and given to"
        " run paint --segments.",
    )
    parser.add_argument(
        "--count", type=int, default=24, metavar="N", help="how many parts, 1 to 255 [default: %(default)s]"
    )
    parser.add_argument(
        "--objects",
        action="store_true",
        help="objects by a panoptic network of the transformers library, where both are installed; numbered from back to front,"
        " their classes in segments.json",
    )
    parser.add_argument("--network", metavar="NAME", help="of the objects: a downloaded network, or its folder")
    options = parser.parse_args(argv)
    if not 1 <= options.count <= 255:
        raise InvalidParameter(f"--count is {options.count}; it must be from 1 to 255.", field="count")
    if options.network and not options.objects:
        raise UsageError("--network belongs to --objects.", hint="Add --objects.")
    from backend.commands.output_folder import OutputFolder
    from backend.commands.progress_bar import Bar

    opened = OutputFolder(options.out)
    with opened as folder, Bar("Segments", quiet=options.quiet) as bar:
        bar(0, 2, "reading the picture")
        image = _image(options.file)
        bar(1, 2, "finding its parts")
        made = _write_segments(image, options, folder.stage)
        print("\n".join(str(folder.publish(name)) for name in made))
    return DONE


def _write_segments(image: np.ndarray, options: argparse.Namespace, folder: Path) -> list[str]:
    """Into the folder; the files' names."""
    from backend.files import segment_pictures

    if not options.objects:
        from backend.algorithms.painting.segmentation import regions

        segment_pictures.write(regions(image, options.count), folder / "segments.png")
        return ["segments.png"]
    import numpy as np

    from backend.runtime import panoptic
    from shared.srgb import linear_to_srgb

    levels = np.rint(255 * linear_to_srgb(np.clip(image, 0.0, 1.0))).astype(np.uint8)
    found = panoptic.find_objects(levels, options.network or panoptic.NETWORK)
    segment_pictures.write(found.numbers, folder / "segments.png")
    segment_pictures.write_names(found.names, folder / "segments.json")
    return ["segments.png", "segments.json"]


def _image(path: Path) -> np.ndarray:
    """Linear RGB [H, W, 3] of a picture, as `run` reads it."""
    from backend.files import kinds
    from shared.algorithm import Port
    from shared.arrays import COLOR_IMAGE

    port = Port(name="image", kind=COLOR_IMAGE, label="Image", help="")
    return kinds.read(path, kinds.Reading(port=port)).values


# Saved strokes -------------------------------------------------------------------------------------------------------


def _strokes(path: Path) -> Array:
    from backend.files import kinds
    from shared.algorithm import Port
    from shared.arrays import STROKES

    if path.is_dir():
        raise InvalidInput(f"{path} is a folder.", hint=f"Give {path / 'strokes.json'} or strokes.npz.", field="file")
    return kinds.read(path, kinds.Reading(port=Port(name="strokes", kind=STROKES, label="Strokes", help="")))


def _statistics(argv: Sequence[str]) -> int:
    options = _parser(
        "statistics",
        "strokes.json or strokes.npz",
        "Draws six plots of saved strokes on one page, strokes.html: where they lie, how large they are and when they came.",
    ).parse_args(argv)
    from backend.commands.output_folder import OutputFolder
    from backend.files import stroke_page

    strokes = _strokes(options.file)
    with OutputFolder(options.out) as folder:
        name = f"{options.file.stem}.html"
        stroke_page.write(strokes, folder.stage / name)
        print(folder.publish(name))
    return DONE


def _timelapse(argv: Sequence[str]) -> int:
    parser = _parser(
        "timelapse",
        "strokes.json or strokes.npz",
        "Paints saved strokes one after the other and writes the canvas as it fills, as timelapse.gif or as numbered PNGs.",
    )
    parser.add_argument("--frames", type=int, default=120, metavar="N", help="pictures [default: %(default)s]")
    parser.add_argument("--fps", type=float, default=25.0, metavar="X", help="frames per second of a GIF [default: 25]")
    parser.add_argument(
        "--hold", type=float, default=2.0, metavar="S", help="seconds that the last frame of a GIF stays [default: 2]"
    )
    parser.add_argument(
        "--format", nargs="+", default=["gif"], metavar="FORMAT", help="gif, png or both [default: gif]"
    )
    parser.add_argument(
        "--size", type=int, metavar="PX", help=f"longer side [default: the canvas's, at most {LARGEST_PX}]"
    )
    parser.add_argument(
        "--bristles", type=float, default=0.25, metavar="X", help="how strongly hairs show, 0 to 1 [default: 0.25]"
    )
    parser.add_argument("--canvas", type=Path, metavar="FILE", help="a picture of what was painted on")
    parser.add_argument(
        "--canvas-color", metavar="COLOR", help="black, white or #rrggbb [default: the file's, else black]"
    )
    options = parser.parse_args(argv)
    words = _check_timelapse(options)
    strokes = _strokes(options.file)
    canvas = _canvas(options, strokes)
    from backend.commands.interruption import ended_promptly
    from backend.commands.output_folder import OutputFolder
    from backend.commands.progress_bar import Bar

    opened = OutputFolder(options.out)
    with opened as folder, ended_promptly(folder.stage, folder.made), Bar("Timelapse", quiet=options.quiet) as bar:
        made = _write_timelapse(strokes, canvas, options, words, folder.stage, bar)
        print("\n".join(str(folder.publish(name)) for name in made))
    return DONE


def _check_timelapse(options: argparse.Namespace) -> list[str]:
    """The formats. Raises InvalidParameter and UsageError."""
    words = [word for text in options.format for word in text.lower().split(",") if word]
    if "mp4" in words:
        raise UsageError("--format mp4: no encoder of films is installed with the backend.", hint=MP4_HINT)
    for word in words:
        if word not in ("gif", "png"):
            raise InvalidParameter(f"--format is {word!r}; it must be gif or png.", field="format")
    if not 1 <= options.frames <= MOST_FRAMES:
        raise InvalidParameter(f"--frames is {options.frames}; it must be from 1 to {MOST_FRAMES}.", field="frames")
    most = GIF_FPS if "gif" in words else MOST_FPS
    if not 0.1 <= options.fps <= most:
        raise InvalidParameter(f"--fps is {options.fps:g}; it must be from 0.1 to {most:g}.", field="fps")
    if not 0.0 <= options.hold <= 600.0:
        raise InvalidParameter(f"--hold is {options.hold:g}; it must be from 0 to 600.", field="hold")
    if not 0.0 <= options.bristles <= 1.0:
        raise InvalidParameter(f"--bristles is {options.bristles:g}; it must be from 0 to 1.", field="bristles")
    if options.size is not None and not 16 <= options.size <= MOST_PX:
        raise InvalidParameter(f"--size is {options.size}; it must be from 16 to {MOST_PX}.", field="size")
    if options.canvas and options.canvas_color:
        raise UsageError("--canvas and --canvas-color cannot be combined.", hint="Leave out one of them.")
    return words


def _canvas(options: argparse.Namespace, strokes: Array) -> np.ndarray:
    """sRGB-encoded [H, W, 3] float32, of the size of the frames."""
    import numpy as np

    width, height = (float(strokes.attributes[f"canvas_{side}_px"]) for side in ("width", "height"))
    scale = (options.size or min(max(width, height), LARGEST_PX)) / max(width, height)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    if options.canvas:
        from PIL import Image

        from shared.srgb import linear_to_srgb

        given = linear_to_srgb(np.clip(_image(options.canvas), 0.0, 1.0))
        picture = Image.fromarray(np.rint(given * 255).astype(np.uint8)).resize(
            (shape[1], shape[0]), Image.Resampling.LANCZOS
        )
        return np.asarray(picture, np.float32) / 255
    color = _color(options.canvas_color) if options.canvas_color else strokes.attributes.get("canvas_color", (0, 0, 0))
    return np.full((*shape, 3), np.asarray(color, np.float32), np.float32)


def _color(text: str) -> tuple[float, ...]:
    """sRGB 0..1 of black, white or #rrggbb. Raises InvalidParameter."""
    digits = {"black": "000000", "white": "ffffff"}.get(text.lower(), text.removeprefix("#"))
    try:
        if len(digits) != 6:
            raise ValueError
        return tuple(byte / 255 for byte in bytes.fromhex(digits))
    except ValueError:
        raise InvalidParameter(
            f"--canvas-color is {text!r}; it must be black, white or #rrggbb.", field="canvas_color"
        ) from None


def _write_timelapse(
    strokes: Array, canvas: np.ndarray, options: argparse.Namespace, words: Sequence[str], folder: Path, bar: Bar
) -> list[str]:
    """Into the folder; the files' names."""
    from backend.algorithms.painting import timelapse
    from backend.files import animations
    from shared.strokes import smudge_of

    count = int(options.frames)
    made = timelapse.frames(
        strokes.values, canvas, count, bristles=options.bristles, smudge=smudge_of(strokes.attributes)
    )
    frames = _told(made, count, bar)
    names = []
    if "png" in words:
        frames = animations.written_png(frames, folder, "timelapse", count)
        names = [animations.png_name("timelapse", number, count) for number in range(1, count + 1)]
    if "gif" in words:
        step = max(1, max(canvas.shape) // animations.SAMPLE_PX)
        small = timelapse.frames(strokes.values, canvas[::step, ::step], animations.SAMPLED)
        names.append("timelapse.gif")
        animations.write_gif(
            frames,
            folder / names[-1],
            fps=options.fps,
            count=count,
            hold_s=options.hold,
            palette=animations.colors(small),
        )
    for _ in frames:  # what no GIF has taken
        pass
    return names


def _told(frames: Iterator[np.ndarray], count: int, bar: Bar) -> Iterator[np.ndarray]:
    """The frames, with the progress of them."""
    for number, frame in enumerate(frames):
        bar(number, count, "painting")
        yield frame
