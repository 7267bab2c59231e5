"""Which photograph goes with which camera, UV map and mask, before anything is read: folders to files, files into one order.

Works for any algorithm whose inputs have photographs, by the kinds of its ports. What does not fit together is refused here, by
name; pixels are not looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import CAMERAS, DEPTH_MAP, MASK, PHOTOGRAPH, UV_MAP, ArrayKind
from shared.cameras import Cameras, read
from shared.cameras.image_header import SUFFIXES
from shared.cameras.photographs import list_images, match_by_name
from shared.cameras.views import find_views
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

Items = dict[str, list[dict[str, Any]]]  # by port what goes in, as backend/commands/recipe_files.py says

MAP_ENDINGS = (".exr", ".npy", *SUFFIXES)
NAMED = 3  # photographs in a sentence
ABSENT = "absent"  # an item that stands for a mask of a photograph that has none
_WORDS = {UV_MAP: "UV map", DEPTH_MAP: "depth map", MASK: "mask"}


def takes_folder(port: Port) -> bool:
    return port.kind is CAMERAS or (port.many and (port.kind is PHOTOGRAPH or port.kind in _WORDS))


def takes_views(spec: AlgorithmSpec) -> bool:
    return _port(spec, PHOTOGRAPH) is not None and _port(spec, UV_MAP) is not None


def views(spec: AlgorithmSpec, folder: str) -> dict[str, list[str]]:
    """The files of --views, by port: photographs, UV maps, and masks where the folder has some."""
    images, maps, masks = _port(spec, PHOTOGRAPH), _port(spec, UV_MAP), _port(spec, MASK, "masks")
    assert images is not None, "takes_views() says so"
    assert maps is not None, "takes_views() says so"
    found = find_views(folder)
    made = {images.name: [str(view.photograph) for view in found], maps.name: [str(view.uv_map) for view in found]}
    if masks is not None and (Path(folder) / "masks").is_dir():
        made[masks.name] = [str(Path(folder) / "masks")]
    return made


def arrange(spec: AlgorithmSpec, items: Items, *, skip_missing: bool) -> Items:
    """The items with folders opened, photographs in the cameras' order, and the maps of each photograph in that order.

    Raises InvalidInput: a camera without a photograph (left out with skip_missing), a photograph without its map, two files that
    answer to one name.
    """
    images, cameras = _port(spec, PHOTOGRAPH), _port(spec, CAMERAS)
    if images is None or any("recipe" in item for given in items.values() for item in given):
        return items
    made = {port.name: _opened(port, items[port.name]) for port in spec.inputs if port.name in items}
    names = [_relative(path, items.get(images.name, ())) for path in _paths(made.get(images.name, []))]
    if cameras is not None and made.get(cameras.name):
        found = _of_cameras(made[cameras.name][0], made.get(images.name), skip_missing)
        made[images.name] = _kept(made.get(images.name, []), [path for path in found.photographs if path is not None])
        pairs = zip(found.cameras, found.photographs, strict=True)
        names = [camera.name for camera, path in pairs if path is not None]
    for item, name in zip(made.get(images.name, []), names, strict=True):
        item["name"] = name
    for port in spec.inputs:
        if port.many and port.kind in _WORDS and made.get(port.name):
            made[port.name] = _in_order(port, made[port.name], names)
    return made


def _port(spec: AlgorithmSpec, kind: ArrayKind, name: str = "") -> Port | None:
    return next((port for port in spec.inputs if port.kind is kind and (not name or port.name == name)), None)


def _paths(items: Sequence[Mapping[str, Any]]) -> list[Path]:
    return [Path(item["path"]) for item in items]


def _opened(port: Port, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Folders given to a port of many as the files in them."""
    if port.kind is CAMERAS or not takes_folder(port):
        return items
    made = []
    for item in items:
        folder = Path(item.get("path", ""))
        if not item.get("path") or not folder.is_dir():
            made.append(item)
            continue
        files = list_images(folder) if port.kind is PHOTOGRAPH else _list_maps(folder)
        if not files:
            what = "photograph" if port.kind is PHOTOGRAPH else _WORDS[port.kind]
            raise InvalidInput(
                f"The folder {folder} has no {what}.", hint=f"Looked for: {_endings(port)}.", field=port.name
            )
        made += [{"path": str(path), "sha256": ""} for path in files]
    return made


def _list_maps(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in MAP_ENDINGS and path.is_file())


def _endings(port: Port) -> str:
    return ", ".join(SUFFIXES if port.kind is PHOTOGRAPH else MAP_ENDINGS)


def _relative(path: Path, given: Sequence[Mapping[str, Any]]) -> str:
    """A photograph's name: from the folder that was given, so that two of one name in different folders stay apart."""
    for item in given:
        if Path(item["path"]).is_dir() and path.is_relative_to(item["path"]):
            return path.relative_to(item["path"]).as_posix()
    return path.name


def _of_cameras(item: Mapping[str, Any], images: Sequence[Mapping[str, Any]] | None, skip_missing: bool) -> Cameras:
    for image in images or ():
        if not Path(image["path"]).is_file():
            raise InvalidInput(f"There is no photograph {image['path']}.", field="images")
    found = read(item["path"], files=_paths(images) if images else None)
    if not found.missing:
        return found
    count, total = len(found.missing), len(set(found.missing) | {camera.name for camera in found.cameras})
    some = ", ".join(found.missing[:NAMED]) + (" ..." if count > NAMED else "")
    if not any(found.photographs):
        raise InvalidInput(
            f"None of the {total} cameras of {item['path']} has a photograph among those given; missing: {some}.",
            hint="Give the folder of the photographs with --images.",
            field="images",
        )
    if not skip_missing:
        raise InvalidInput(
            f"{count} of the {total} cameras of {item['path']} {'has' if count == 1 else 'have'} no photograph: {some}.",
            hint="Add what is missing to --images, or leave those cameras out with --skip-missing.",
            field="images",
        )
    logger.warning("%d of %d cameras are left out because their photographs are missing: %s.", count, total, some)
    return found


def _kept(items: Sequence[dict[str, Any]], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The items of these paths in this order, with the digests that a recipe gave them."""
    known = {item["path"]: item for item in items}
    return [known.get(str(path), {"path": str(path), "sha256": ""}) for path in paths]


def _in_order(port: Port, items: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """A map for each photograph, by name; in their order as given where no name fits and there are as many."""
    files = _paths([item for item in items if ABSENT not in item])
    word = _WORDS[port.kind]
    matched = match_by_name(names, files, word)
    if not any(matched) and len(files) == len(names):
        return items
    missing = [name for name, path in zip(names, matched, strict=True) if path is None]
    if missing and (port.kind is not MASK or len(missing) == len(names)):
        raise InvalidInput(
            f"There is no {word} for the photograph {missing[0]}"
            + (f" and {len(missing) - 1} more." if missing[1:] else "."),
            hint=f"A {word} has the name of its photograph; its file extension may differ.",
            field=port.name,
        )
    if missing:
        logger.warning("%d photographs have no mask and are used whole: %s.", len(missing), ", ".join(missing[:NAMED]))
    known = {item["path"]: item for item in items if ABSENT not in item}
    return [known[str(path)] if path is not None else {ABSENT: True} for path in matched]
