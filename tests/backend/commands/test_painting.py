"""The painting commands as a user meets them: real processes on small files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from backend.algorithms.painting import timelapse
from backend.cli import UsageError
from backend.commands import painting as commands
from backend.files import animations, kinds
from backend.runtime import panoptic
from shared.algorithm import Port
from shared.arrays import STROKES, Array
from shared.errors import InvalidInput, InvalidParameter
from shared.strokes import COLUMNS, INDEX
from tests.support import prepared_python

WIDTH, HEIGHT = 48, 32
REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRON = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    values = rng.random((40, len(COLUMNS))).astype(np.float32)
    values[:, 6:8] = 0.02 + 0.1 * values[:, 6:8]
    values[:, 8:10] = 1.0
    values[:, INDEX["layer"]], values[:, INDEX["segment"]] = 0, -1
    values[:, INDEX["order"]] = np.arange(len(values))
    canvas = {"canvas_width_px": WIDTH, "canvas_height_px": HEIGHT, "canvas_color": [1.0, 0.0, 0.0]}
    kinds.write(Array(STROKES, values, canvas), tmp_path / "strokes.json", kinds.Writing(format="json"))
    return tmp_path / "strokes.json"


def painting(*words: object) -> str:
    """What the command prints."""
    done = prepared_python.run(("painting", *words, "--quiet"), cwd=REPOSITORY, env=ENVIRON)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_timelapse_ends_in_the_whole_painting(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "film"
    said = painting(
        "timelapse",
        saved,
        "--frames",
        12,
        "--fps",
        24,
        "--hold",
        1,
        "--bristles",
        0,
        "--format",
        "gif",
        "png",
        "--out",
        out,
    )
    frames = sorted(out.glob("timelapse.*.png"))
    assert [path.name for path in frames][:2] == ["timelapse.0001.png", "timelapse.0002.png"]
    assert sorted(said.split()) == sorted(map(str, [*frames, out / "timelapse.gif"]))
    pictures = [np.asarray(Image.open(path), int) for path in frames]
    assert len(pictures) == 12
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    red = [(picture == (255, 0, 0)).all(axis=2).mean() for picture in pictures]
    assert red[0] > 0.4 > red[-1], "it begins on the canvas's colour and is painted over"
    strokes = kinds.read(saved, kinds.Reading(port=_port())).values
    canvas = np.tile(np.float32([1, 0, 0]), (HEIGHT, WIDTH, 1))
    (whole,) = timelapse.frames(strokes, canvas, 1)
    assert np.abs(pictures[-1] - whole).max() <= 1  # bit by bit and at once round alike
    with Image.open(out / "timelapse.gif") as film:
        last = film.n_frames - 1
        lengths = []
        for number in range(film.n_frames):
            film.seek(number)
            lengths.append(film.info["duration"])
        film.seek(last)
        assert np.abs(np.asarray(film.convert("RGB"), int) - whole).mean() < 12
    assert sum(lengths) == 500 + 1000


def _port() -> Port:
    return Port(name="strokes", kind=STROKES, label="Strokes", help="")


def test_frames_keep_their_time() -> None:
    for fps in (24.0, 30.0, 50.0, 7.0):
        lengths = animations.durations_ms(200, fps, 0.0)
        ends = np.cumsum(lengths)
        assert np.abs(ends - 1000 * np.arange(1, 201) / fps).max() <= 5.0 + 1e-6
        assert min(lengths) >= 10


def test_every_frame_adds_strokes_and_none_is_left_out() -> None:
    for strokes, frames in ((5000, 120), (7, 120), (1, 3), (120, 1)):
        counts = timelapse.counts(strokes, frames)
        assert len(counts) == frames
        assert counts[-1] == strokes
        assert counts[0] >= 1
        assert (np.diff(counts) >= 0).all()


def test_the_size_and_the_canvas_can_be_chosen(saved: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9, 3), (0, 0, 255), np.uint8)).save(tmp_path / "blue.png")
    for words, color in (
        (("--canvas", tmp_path / "blue.png"), (0, 0, 255)),
        (("--canvas-color", "#00ff00"), (0, 255, 0)),
    ):
        out = tmp_path / "out"
        painting("timelapse", saved, "--frames", 40, "--size", 96, "--format", "png", "--out", out, *words)
        first = np.asarray(Image.open(out / "timelapse.0001.png"))
        assert first.shape == (64, 96, 3)
        assert (first == color).all(axis=2).mean() > 0.3


def test_statistics_are_one_page_that_needs_nothing_else(saved: Path, tmp_path: Path) -> None:
    said = painting("statistics", saved, "--out", tmp_path / "page")
    assert said.strip() == str(tmp_path / "page" / "strokes.html")
    text = (tmp_path / "page" / "strokes.html").read_text(encoding="utf-8")
    assert "40 strokes in 1 layer on 48 × 32 pixels" in text
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).findall(".//text"), "axes have numbers"
    assert len(ElementTree.fromstring(drawings[4]).findall(".//circle")) == 40
    assert not re.search(r'(?:src|href)="(?!data:)', text)


def test_parts_of_a_photograph_become_a_picture_to_edit(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:60, 0:80]
    parts = (columns > 40) + 2 * (rows > 30)
    picture = np.array([(200, 40, 40), (40, 160, 60), (50, 60, 200), (230, 220, 60)], np.uint8)[parts]
    Image.fromarray(picture).save(tmp_path / "photo.png")
    painting("segments", tmp_path / "photo.png", "--count", 4, "--out", tmp_path)
    with Image.open(tmp_path / "segments.png") as made:
        numbers, colors = np.asarray(made), np.asarray(made.convert("RGB"))
    assert len(np.unique(numbers)) == len(np.unique(colors.reshape(-1, 3), axis=0)) == 4
    agreement = [np.bincount(numbers[parts == part], minlength=4).max() / (parts == part).sum() for part in range(4)]
    assert min(agreement) > 0.95


def test_what_is_wrong_is_said_in_a_sentence(saved: Path, tmp_path: Path) -> None:
    for words, sentence in (
        (("timelapse", saved, "--format", "mp4"), "no encoder of films"),
        (("timelapse", saved, "--format", "webm"), "must be gif or png"),
        (("timelapse", saved, "--frames", "0"), "--frames is 0"),
        (("timelapse", saved, "--fps", "60"), "from 0.1 to 50"),
        (("timelapse", saved, "--canvas-color", "blueish"), "must be black, white or #rrggbb"),
        (("timelapse", tmp_path), "is a folder"),
        (("statistics", tmp_path / "none.json"), "none.json"),
        (("segments", saved), "cannot be read"),
        (("segments", saved, "--count", "300"), "from 1 to 255"),
        (("paint", saved), "There is no painting command 'paint'"),
    ):
        with pytest.raises((InvalidInput, InvalidParameter, UsageError)) as refused:
            commands.main([*map(str, words), *(("--out", str(tmp_path / "never")) if words[0] != "paint" else ())])
        assert sentence in refused.value.message
    assert not (tmp_path / "never").exists()


def test_classes_are_numbered_from_back_to_front() -> None:
    labels = np.array([[5, 5, 2, 2], [7, 7, 9, -1]])
    found = [(5, "sky-other-merged"), (2, "person"), (7, "grass-merged"), (9, "person")]
    made = panoptic.numbered(labels, found)
    assert made.names == ("background", "sky-other-merged", "grass-merged", "person")
    np.testing.assert_array_equal(made.numbers, [[1, 1, 3, 3], [2, 2, 3, 0]])
    assert panoptic.numbered(labels, [(5, "sofa"), (2, "bird"), (7, "sea"), (9, "zebra"), (-1, "tree-merged")]).names == (
        "sea", "tree-merged", "sofa", "zebra", "bird",
    )  # fmt: skip
    nothing = panoptic.numbered(np.zeros((2, 2), int), [])
    assert nothing.names == ("background",)
    assert not nothing.numbers.any()


def test_without_the_library_objects_are_refused_with_what_to_do() -> None:
    if panoptic.importlib.util.find_spec(panoptic.LIBRARY):
        pytest.skip("the library is installed here")
    with pytest.raises(InvalidInput, match="which is not installed") as refused:
        panoptic.find_objects(np.zeros((4, 4, 3), np.uint8))
    assert "pip install transformers" in refused.value.hint
