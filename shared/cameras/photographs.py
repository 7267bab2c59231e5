"""Which file is the photograph that a camera names: beside the cameras, in a folder, or in a list, with other folders or endings.

Names from other machines carry other folders and backslashes, and converted photographs other endings; a name that could mean two
files is refused, not guessed. No pixel is read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InvalidInput
from .image_header import SUFFIXES, image_size

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
        self._files = list(files) if files is not None else (list_images(folder) if folder is not None else None)
        self._found: dict[str, Path | None] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The names that were asked for and not found, in that order."""
        return tuple(name for name, path in self._found.items() if path is None)

    def find(self, name: str) -> Path | None:
        """The photograph's file, None where there is none. Raises InvalidInput where two files answer to the name."""
        if name not in self._found:
            self._found[name] = self._near(name) if self._files is None else self._listed(name, self._files)
        return self._found[name]

    def size(self, name: str) -> tuple[int, int] | None:
        """(width, height) of the photograph's pixels, None where it is missing."""
        path = self.find(name)
        return None if path is None else image_size(path)

    def _near(self, name: str) -> Path | None:
        """Beside the camera file, as the file names it; then by its bare name, and with another ending."""
        parts = _parts(name)
        roots = [self._beside / place for place in BESIDE]
        exact = [Path(name), *(root.joinpath(*tail) for tail in (parts, parts[-1:]) for root in roots)]
        for path in exact:
            if path.is_file():
                return path
        for root in roots:
            near = [root.joinpath(*parts[:-1], _stem(parts[-1]) + suffix) for suffix in SUFFIXES]
            found = [path for path in near if path.is_file()]
            if found:
                return _only(name, found)
        return None

    def _listed(self, name: str, files: Sequence[Path]) -> Path | None:
        """The file whose path ends most like the name; then the same without the ending."""
        if self._folder is not None and (self._folder / name).is_file():
            return self._folder / name
        for key in (_parts, _parts_without_ending):
            wanted = key(name)
            lengths = [_common_tail(wanted, key(str(path))) for path in files]
            longest = max(lengths, default=0)
            if longest:
                return _only(name, [path for path, length in zip(files, lengths, strict=True) if length == longest])
        return None


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
    for name in names:
        parts = _parts(name)
        answers = []
        for wanted in (_parts_without_ending(name), parts):
            lengths = [_common_tail(wanted, _parts_without_ending(str(path))) for path in files]
            longest = max(lengths, default=0)
            answers += [path for path, length in zip(files, lengths, strict=True) if length == longest > 0]
        made.append(_only(name, list(dict.fromkeys(answers)), what) if answers else None)
    return made


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").lower().split("/") if part not in ("", ".", "..")] or [""]


def _parts_without_ending(name: str) -> list[str]:
    parts = _parts(name)
    return [*parts[:-1], _stem(parts[-1])]


def _stem(name: str) -> str:
    """The name without an image's ending: "r_0.5" has none to lose."""
    return next((name.removesuffix(suffix) for suffix in (*SUFFIXES, ".exr") if name.endswith(suffix)), name)


def _common_tail(a: Sequence[str], b: Sequence[str]) -> int:
    length = 0
    while length < min(len(a), len(b)) and a[-1 - length] == b[-1 - length]:
        length += 1
    return length


def _only(name: str, paths: Sequence[Path], what: str = "photograph") -> Path:
    if len(paths) > 1:
        raise InvalidInput(
            f"{name} could be the {what} {paths[0]} or {paths[1]}.",
            hint="Name one folder with one file of that name.",
            field="images",
        )
    return paths[0]
