"""Which file is the photograph that a camera names: beside the cameras, in a folder, or in a list, with other folders or endings.

Names from other machines carry other folders and backslashes, and converted photographs other endings; a name that could mean two
files is refused, not guessed. No pixel is read here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..errors import InvalidInput
from .image_header import SUFFIXES, image_size

_SUFFIXES_OF_CAMERAS = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))
BESIDE = (
    ".",
    "images",
    "..",
    "../images",
    "../..",
    "../../images",
)  # of the cameras' file: COLMAP's sparse/0 is two deep


class Photographs:
    """Where the photographs of one camera file are looked for.

    beside: the camera file's folder, asked when there is neither folder nor files. folder: searched with all its sub-folders.
    files: an explicit list in their place.
    """

    def __init__(self, beside: Path, folder: Path | None = None, files: Sequence[Path] | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise InvalidInput(f"There is no folder {folder} with photographs.", field="images")
        self._beside = beside
        self._folder = folder
        if files is None and folder is not None:
            files = list_images(folder)
        self._by_name = None if files is None else (_Index(files, _parts), _Index(files, _parts_without_ending))
        self._found: dict[str, Path | None] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The names that were asked for and not found, in that order."""
        return tuple(name for name, path in self._found.items() if path is None)

    def find(self, name: str) -> Path | None:
        """The photograph's file, None where there is none. Raises InvalidInput where two files answer to the name."""
        if name not in self._found:
            self._found[name] = self._near(name) if self._by_name is None else self._listed(name, self._by_name)
        return self._found[name]

    def size(self, name: str) -> tuple[int, int] | None:
        """(width, height) of the photograph's pixels, None where it is missing."""
        path = self.find(name)
        return None if path is None else image_size(path)

    def _near(self, name: str) -> Path | None:
        """Beside the camera file, as the file names it; then by its bare name, and with another ending."""
        parts = _split(name)
        roots = [Path(os.path.normpath(self._beside / place)) for place in BESIDE]
        exact = [Path(name)] if Path(name).is_absolute() else []
        exact = [*exact, *(root.joinpath(*tail) for tail in (parts, parts[-1:]) for root in roots)]
        for path in exact:
            if path.is_file():
                return path
        for root in roots:
            near = [root.joinpath(*parts[:-1], _stem(parts[-1]) + suffix) for suffix in _SUFFIXES_OF_CAMERAS]
            found = list(
                {path.stat().st_ino: path for path in near if path.is_file()}.values()
            )  # .JPG may be .jpg's name
            if found:
                return _only(name, found)
        return None

    def _listed(self, name: str, by_name: Sequence[_Index]) -> Path | None:
        """The file whose path ends most like the name; then the same without the ending."""
        if self._folder is not None and (self._folder / name).is_file():
            return self._folder / name
        for index, wanted in zip(by_name, (_parts(name), _parts_without_ending(name)), strict=True):
            if found := index.most_alike(wanted):
                return _only(name, found)
        return None


class _Index:
    """Files by the last part of their names, so that a thousand cameras do not look at a thousand files each."""

    def __init__(self, files: Sequence[Path], key: Callable[[str], list[str]]) -> None:
        self._files: dict[str, list[tuple[list[str], Path]]] = {}
        for path in files:
            parts = key(str(path))
            self._files.setdefault(parts[-1], []).append((parts, path))

    def most_alike(self, wanted: Sequence[str]) -> list[Path]:
        """Those whose last parts agree with the longest tail of the wanted ones; none where the last differs."""
        near = self._files.get(wanted[-1], [])
        lengths = [_common_tail(wanted, parts) for parts, _ in near]
        return [path for (_, path), length in zip(near, lengths, strict=True) if length == max(lengths)]


def list_images(folder: Path) -> list[Path]:
    """Every file in the folder and below that has an image's ending, in the order of their names."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def match_by_name(names: Iterable[str], files: Sequence[Path], what: str) -> list[Path | None]:
    """For each photograph's name the file of that name, whatever its ending: IMG_1.png, or IMG_1.jpg.png, for IMG_1.jpg.

    what: what the files are, for the error where two of them answer to one name.
    """
    made: list[Path | None] = []
    index = _Index(files, _parts_without_ending)
    for name in names:
        answers = [*index.most_alike(_parts_without_ending(name)), *index.most_alike(_parts(name))]
        made.append(_only(name, list(dict.fromkeys(answers)), what) if answers else None)
    return made


def _split(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")] or [""]


def _parts(name: str) -> list[str]:
    return _split(name.lower())


def _parts_without_ending(name: str) -> list[str]:
    parts = _parts(name)
    return [*parts[:-1], _stem(parts[-1])]


def _stem(name: str) -> str:
    """The name without an image's ending: "r_0.5" has none to lose."""
    return next((name[: -len(suffix)] for suffix in (*SUFFIXES, ".exr") if name.lower().endswith(suffix)), name)


def _common_tail(a: Sequence[str], b: Sequence[str]) -> int:
    length = 0
    while length < min(len(a), len(b)) and a[-1 - length] == b[-1 - length]:
        length += 1
    return length


def _only(name: str, paths: Sequence[Path], what: str = "photograph") -> Path:
    if len(paths) > 1:
        raise InvalidInput(
            f"{name} could be the {what} {paths[0]} or {paths[1]}.",
            hint="Give a folder with only one file of that name.",
            field="images",
        )
    return paths[0]
