"""Cameras from whatever file or folder holds them: which format it is, what its cameras are, and where their photographs lie.

The format is recognised by content, not by file extension. Every fault of such a file becomes an InvalidInput. A
photograph that is listed and missing is reported, but is no error here: Blender can do without it, computing cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..read_files import TooDeep, check_plain, parse_json, read_bytes
from . import alicevision, bundler, colmap, openmvs, plain, relievo_json, texrecon, transforms
from .camera import Camera
from .limits import MOST_JSON_BYTES
from .photographs import Photographs

_JSON_NAMES = ("cameras.json", "transforms.json", "transforms_train.json", "cameras.sfm", "sfm.json", "sfm.sfm")
_BUNDLES = ("bundle.out", "bundler.out", "bundle/bundle.out", "bundle/bundler.out")
_MODELS = (".", "sparse/0", "sparse", "0", "dense/0/sparse", "dense/sparse")  # where COLMAP leaves its models
_READ = (
    "Supported: COLMAP models, Bundler's bundle.out, Meshroom's cameras.sfm, transforms.json, OpenMVS's scene.mvs, "
    "texrecon's .cam files, and Relievo's cameras.json."
)
_START_BYTES = 256  # of a file, by which it is recognised


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """What a camera file holds.

    photographs: for each camera its photograph's file, None where it was not found. missing: the names of those, and of cameras
    that could not be made because only their photograph would have given their size. files: what was read.
    """

    cameras: tuple[Camera, ...]
    photographs: tuple[Path | None, ...]
    missing: tuple[str, ...]
    format: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Source:
    format: str
    files: tuple[Path, ...]
    document: Mapping[str, Any] | None = None

    @property
    def folder(self) -> Path:
        return self.files[0].parent


def read(path: Path | str, images_dir: Path | None = None, *, files: Sequence[Path] | None = None) -> Cameras:
    """The cameras of a file or folder, and their photographs.

    images_dir: where photographs are, in sub-folders too; files: the photographs themselves. Without either they are looked for
    where the file says, beside it, and in a folder images nearby. Raises InvalidInput for an unknown or broken file, one without
    cameras, and a name that could mean two photographs.
    """
    source = _detect(Path(path))
    photographs = Photographs(source.folder, images_dir, files)
    cameras = _parse_safely(source, photographs)
    found = tuple(photographs.find(camera.name) for camera in cameras)
    if not cameras:
        if photographs.missing:
            raise InvalidInput(
                f"None of the {len(photographs.missing)} photographs of {path} was found, such as {photographs.missing[0]}.",
                hint="Give the folder that has them.",
                field="images",
            )
        raise InvalidInput(
            f"{path} has no posed camera.", hint="Export a reconstruction that has some.", field="cameras"
        )
    _refuse_shared(cameras, found)
    return Cameras(
        cameras=_with_short_names(cameras),
        photographs=found,
        missing=photographs.missing,
        format=source.format,
        files=source.files,
    )


def files_of(path: Path | str) -> tuple[Path, ...]:
    """The files that read() would read, photographs apart."""
    return _detect(Path(path)).files


def _parse_safely(source: _Source, photographs: Photographs) -> list[Camera]:
    """A document of another shape than its reader expects is a file's fault, not a defect of the reader."""
    try:
        return _parse(source, photographs)
    except RecursionError as error:
        raise _too_deep(source.files[0]) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise InvalidInput(
            f"{source.files[0]} is damaged: it is not what its format says ({type(error).__name__}: {error}).",
            hint="Export it again.",
            field="cameras",
        ) from error


def _too_deep(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} is nested too deeply to be a camera file.", hint="Export the cameras again.", field="cameras"
    )


def _parse(source: _Source, photographs: Photographs) -> list[Camera]:
    path = source.files[0]
    if source.document is not None:
        if source.format == "Relievo":
            return relievo_json.parse(source.document, str(path))
        if source.format == "AliceVision":
            return alicevision.parse(source.document, str(path))
        return transforms.parse(source.document, str(path), photographs)
    if source.format == "COLMAP":
        return colmap.parse(path.parent)
    if source.format == "Bundler":
        return bundler.parse(path, photographs)
    if source.format == "OpenMVS":
        return openmvs.parse(path, photographs)
    if source.format == "texrecon":
        return texrecon.parse(source.files, photographs)
    return plain.parse(source.files, photographs)


def _detect(path: Path) -> _Source:
    if path.is_dir():
        return _detect_folder(path)
    start = _start_of(path)
    if not start:
        raise InvalidInput(f"{path} is empty (0 bytes).", field="cameras")
    text = start.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")  # marks of UTF-8 and UTF-16
    if text[:1] in (b"{", b"["):
        return _detect_json(path)
    if text.startswith(b"# Bundle file"):
        return _Source("Bundler", (path, bundler.list_of(path)))
    if start.startswith((openmvs.SIGNATURE, openmvs.OWN_SIGNATURE)):
        return _Source("OpenMVS", (path,))
    if path.suffix.lower() == texrecon.SUFFIX:
        return _Source("texrecon", (path,))
    if path.name in ("cameras.txt", "images.txt", "cameras.bin", "images.bin"):
        return _colmap(path.parent)
    if path.suffix == ".txt" and plain.is_plain(path):
        return _Source("plain", (path,))
    raise InvalidInput(f"{path} is not a recognised camera file.", hint=_READ, field="cameras")


def _start_of(path: Path) -> bytes:
    try:
        check_plain(path, field="cameras")
        with open(path, "rb") as file:
            return file.read(_START_BYTES)
    except (FileNotFoundError, ValueError) as error:
        raise InvalidInput(f"{path} does not exist.", hint=_READ, field="cameras") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.", field="cameras") from error


def _colmap(folder: Path) -> _Source:
    binary = (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file()
    ending = ".bin" if binary else ".txt"
    return _Source("COLMAP", (folder / f"cameras{ending}", folder / f"images{ending}"))


def _detect_folder(folder: Path) -> _Source:
    for place in _MODELS:
        if any((folder / place / f"cameras{ending}").is_file() for ending in (".bin", ".txt")):
            return _colmap(folder / place)
    for name in (*_BUNDLES, *_JSON_NAMES):
        if (folder / name).is_file():
            return _detect(folder / name)
    cameras = plain.files(folder) or plain.files(folder / "cameras") or plain.files(folder / "images")
    if cameras:
        return _Source("plain", tuple(cameras))
    for place in (folder, folder / "images"):
        if cams := texrecon.files(place):
            return _Source("texrecon", tuple(cams))
    scenes = sorted(path for path in folder.glob("*.mvs") if path.is_file())
    if len(scenes) == 1:
        return _detect(scenes[0])
    if scenes:
        raise InvalidInput(
            f"{folder} has {len(scenes)} OpenMVS scenes: {', '.join(path.name for path in scenes[:3])}.",
            hint="Name the one to read, such as scene.mvs.",
            field="cameras",
        )
    raise InvalidInput(f"There are no cameras in the folder {folder}.", hint=_READ, field="cameras")


def _detect_json(path: Path) -> _Source:
    try:
        document = parse_json(read_bytes(path, field="cameras", most=MOST_JSON_BYTES))
    except TooDeep as error:
        raise _too_deep(path) from error
    except ValueError as error:
        raise InvalidInput(
            f"{path} is damaged or cut short: it is not JSON ({error}).", hint="Export it again.", field="cameras"
        ) from error
    document = document if isinstance(document, dict) else {}
    if document.get("format") == relievo_json.FORMAT:
        return _Source("Relievo", (path,), document)
    if "views" in document:
        return _Source("AliceVision", (path,), document)
    if "frames" in document:
        return _Source("NeRF", (path,), document)
    raise InvalidInput(f"{path} is JSON, but not a recognised camera file.", hint=_READ, field="cameras")


def _refuse_shared(cameras: Sequence[Camera], found: Sequence[Path | None]) -> None:
    owner: dict[Path, str] = {}
    for camera, path in zip(cameras, found, strict=True):
        if path is not None and path in owner:
            raise InvalidInput(
                f"The cameras {owner[path]} and {camera.name} would have the same photograph, {path}.",
                hint="Keep photographs of the same name in the folders that the cameras refer to.",
                field="images",
            )
        if path is not None:
            owner[path] = camera.name


def _with_short_names(cameras: Sequence[Camera]) -> tuple[Camera, ...]:
    """Names without the folders that all of them share, as absolute paths do: what is left tells them apart."""
    parts = [camera.name.split("/") for camera in cameras]
    absolute = any(camera.name.startswith("/") or camera.name[1:3] == ":/" for camera in cameras)
    if not absolute:
        return tuple(cameras)
    shared = 0
    while all(len(part) > shared + 1 and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    return tuple(replace(camera, name="/".join(part[shared:])) for camera, part in zip(cameras, parts, strict=True))
