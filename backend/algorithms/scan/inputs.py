"""What the scan texture engine is given, checked and put together: views of a surface with UVs, or a sentence that says why not.

Whatever can be known before the first photograph is decoded is checked here; that a photograph shows nothing of the mesh comes out
later. Every message names the photograph or the part of the mesh that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from backend.algorithms.scan.missing_uvs import unwrap_missing
from backend.algorithms.scan.views import Maps, ScanView
from backend.files.meshes.unwrapping import unwrap
from backend.files.photographs import size_of
from backend.ops.surface.charts import overlap_share, tiles_and_strays
from shared.arrays import Array
from shared.cameras.camera import Camera, from_array
from shared.cameras.flips import FLIPS, MOST_POINTS, fitting_flip, shares_in_frame
from shared.catalog.scan_texture import ScanTextureParams
from shared.errors import InvalidInput

OVERLAP_WORTH_TELLING = 0.005
NAMED = 4  # materials in a sentence
APART = 1000.0  # distance of cameras and mesh by their size, from where they are of two coordinate systems
MOST_ASPECT = 1.02  # photograph and UV map may differ this much in width to height


@dataclass(eq=False)
class Scan:
    """mesh: [N, 3, 5] with UVs, or None where only UV maps are known. tiles: UDIM numbers, in order. origin: the point [3] that
    the mesh, and all else here, is counted from."""

    views: list[ScanView]
    mesh: np.ndarray | None
    occluders: np.ndarray | None
    tiles: list[int]
    unwrapped: bool = False
    overlap: float = 0.0
    warnings: list[str] = field(default_factory=list)
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))


def open_scan(params: ScanTextureParams, inputs: Mapping[str, Any]) -> Scan:
    """Views and surface from the engine's inputs. Raises InvalidInput."""
    images = tuple(
        Array(image.kind, np.ascontiguousarray(image.values), image.attributes) for image in inputs["images"]
    )
    mesh = _checked_mesh(inputs.get("mesh"), "mesh")
    origin = origin_of(inputs.get("mesh"))
    occluders = _moved(_checked_mesh(inputs.get("occluders"), "occluders"), origin_of(inputs.get("occluders")) - origin)
    warnings: list[str] = []
    unwrapped = False
    if mesh is not None:
        mesh, unwrapped = _with_uvs(mesh, params, bool(inputs.get("uv_maps")), warnings)
    if inputs.get("uv_maps"):
        views = _views_of_maps(images, inputs)
        tiles = _tiles_of_maps(views)
    else:
        if mesh is None or inputs.get("cameras") is None:
            missing = "mesh" if mesh is None else "cameras"
            raise InvalidInput(
                f"There is no {'mesh' if mesh is None else 'camera'}; a scan needs a mesh and cameras, or a UV map for "
                "each photograph.",
                field=missing,
            )
        views = _views_of_cameras(images, inputs, mesh, origin)
        numbers, strays = tiles_and_strays(mesh)
        tiles = sorted(set(numbers.tolist()) - {0})
        if strays:
            warnings.append(f"{strays} of the {len(mesh)} triangles reach beyond the texture's border.")
    scan = Scan(views, mesh, occluders, tiles, unwrapped, warnings=warnings, origin=origin)
    if mesh is not None:
        scan.overlap = overlap_share(_in_one_tile(mesh))
        if scan.overlap > OVERLAP_WORTH_TELLING:
            say = _overlap_in_version_1 if params.legacy else _overlap
            warnings.append(say(scan.overlap, _materials_sharing_uvs(inputs["mesh"], mesh)))
    return scan


def origin_of(given: Array | None) -> np.ndarray:
    """The point [3] float64 that a mesh is counted from (backend/files/meshes/frames.py); 0 where it has none."""
    origin = np.zeros(3) if given is None else np.asarray(given.attributes.get("origin", (0.0, 0.0, 0.0)), object)
    try:
        origin = origin.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput("The origin of the mesh is not three numbers.", field="mesh") from error
    if origin.shape != (3,) or not np.isfinite(origin).all():
        raise InvalidInput("The origin of the mesh is not three finite numbers.", field="mesh")
    return origin


def _moved(mesh: np.ndarray | None, shift: np.ndarray) -> np.ndarray | None:
    if mesh is None or not shift.any():
        return mesh
    moved = mesh.copy()
    moved[..., :3] = mesh[..., :3].astype(np.float64) + shift
    return moved


def _checked_mesh(given: Array | None, port: str) -> np.ndarray | None:
    if given is None:
        return None
    broken = int((~np.isfinite(given.values[..., :3])).any(axis=(1, 2)).sum())
    if broken:
        raise InvalidInput(
            f"{broken} of the {len(given.values)} triangles of the {port} have a corner with NaN or infinite "
            "coordinates.",
            hint="Clean the mesh up first; in Blender: Mesh > Clean Up > Degenerate Dissolve, or delete those vertices.",
            field=port,
        )
    return np.ascontiguousarray(given.values)


def _with_uvs(
    mesh: np.ndarray, params: ScanTextureParams, has_maps: bool, warnings: list[str]
) -> tuple[np.ndarray, bool]:
    """The mesh with UVs, and whether they are new."""
    without = int(np.isnan(mesh[..., 3:]).any(axis=(1, 2)).sum())
    if has_maps:
        return mesh, False  # the maps' UVs are what counts
    if params.unwrap == "always" or (params.unwrap == "missing" and without == len(mesh)):
        return unwrap(mesh), True
    if without == len(mesh):
        raise InvalidInput(
            "The mesh has no UVs.",
            hint='Unwrap it in Blender, or set Unwrap to "If It Has No UVs".',
            field="mesh",
        )
    if without and params.unwrap == "missing" and not params.legacy:
        mesh, where = unwrap_missing(mesh)
        warnings.append(f"{without} of the {len(mesh)} triangles had no UVs and were unwrapped; {where}.")
        return mesh, True
    if without:
        warnings.append(f"{without} of the {len(mesh)} triangles have no UVs and get no texture.")
    return mesh, False


def _materials_sharing_uvs(given: Array, mesh: np.ndarray) -> list[str]:
    """Their names, where the mesh that was given keeps the UVs that it has."""
    known = np.isfinite(given.values[..., 3:]).all(axis=(1, 2))
    keeps = np.array_equal(given.values[known, :, 3:], mesh[known, :, 3:])
    return [str(name) for name in given.attributes.get("materials_sharing_uvs", ())] if keeps else []


def _overlap(share: float, materials: Sequence[str]) -> str:
    what = f"{share:.1%} of the UVs' area lies under more than one triangle"
    if not materials:
        return (
            f"{what}: those share their texels. Where that is not meant, use --unwrap always (in Blender: Unwrap, Always) or "
            "unwrap the mesh again."
        )
    named = ", ".join(materials[:NAMED]) + (f" and {len(materials) - NAMED} more" if len(materials) > NAMED else "")
    return (
        f"{what}, because the materials {named} use the same part of the texture: their colours are mixed. Use --unwrap always "
        "(in Blender: Unwrap, Always) for one texture that has room for all of them, or texture each material's mesh by itself."
    )


def _overlap_in_version_1(share: float, _: Sequence[str]) -> str:
    """Bytes of a report, as recipes of version 1 repeat them."""
    return (
        f"{share:.1%} of the UVs' area lies under more than one triangle: those share their texels. "
        "Unwrap anew where that is not meant."
    )


def _in_one_tile(mesh: np.ndarray) -> np.ndarray:
    """The triangles with UVs, tiles side by side in 0..1: overlaps within each tile stay, none come about between tiles."""
    known = mesh[np.isfinite(mesh[..., 3:]).all(axis=(1, 2))]
    corner = np.floor(known[..., 3:].mean(axis=1, keepdims=True))
    tiles = np.unique(corner[:, 0], axis=0)
    if len(tiles) <= 1:
        return np.concatenate([known[..., :3], known[..., 3:] - corner], axis=2)
    low, high = corner.min(axis=(0, 1)), corner.max(axis=(0, 1)) + 1
    return np.concatenate([known[..., :3], (known[..., 3:] - low) / float(max(high - low))], axis=2)


# Photographs with cameras ---------------------------------------------------------------------------------------------


def _views_of_cameras(
    images: Sequence[Array], inputs: Mapping[str, Any], mesh: np.ndarray, origin: np.ndarray
) -> list[ScanView]:
    given = from_array(inputs["cameras"])
    cameras = _about(given, origin)
    ordered = _matched(images, cameras)
    masks = _per_photograph(inputs.get("masks"), len(images), "masks", "mask")
    views = []
    for index, (image, camera) in enumerate(zip(ordered, cameras, strict=True)):
        name = str(image.attributes.get("name") or camera.name)
        width, height = size_of(image)
        if sorted((width, height)) != sorted((camera.width, camera.height)):
            raise InvalidInput(
                f"The photograph {name} is {width} x {height} pixels; its camera has {camera.width} x {camera.height}.",
                hint="Use the photographs that the cameras were computed from, neither scaled nor cropped.",
                field="images",
            )
        mask = _mask(masks, _place(images, image), (camera.height, camera.width), name)
        views.append(ScanView(index, name, image, camera.width, camera.height, camera=camera, mask=mask))
    _check_convention(given, mesh, origin)
    return views


def _about(cameras: Sequence[Camera], origin: np.ndarray) -> Sequence[Camera]:
    """The cameras in a world that is counted from the origin; in float64, so that metres far from 0 lose nothing."""
    if not origin.any():
        return cameras
    return [replace(camera, translation=camera.translation + camera.rotation @ origin) for camera in cameras]


def _matched(images: Sequence[Array], cameras: Sequence[Camera]) -> list[Array]:
    """The photographs in the cameras' order: by name where all have the cameras' names, else as they come."""
    by_name = {_stem(str(image.attributes.get("name", ""))): image for image in images}
    wanted = [_stem(camera.name) for camera in cameras]
    if len(by_name) == len(images) and all(name in by_name for name in wanted) and len(set(wanted)) == len(wanted):
        return [by_name[name] for name in wanted]
    if len(images) == len(cameras):
        return list(images)
    alone = [camera.name for camera in cameras if _stem(camera.name) not in by_name]
    if len(images) < len(cameras):
        which = ", ".join((alone or [camera.name for camera in cameras[len(images) :]])[:5])
        raise InvalidInput(
            f"There are {len(cameras)} cameras and {len(images)} photographs: none for {which}.",
            hint="Give a photograph for each camera, or leave those cameras out.",
            field="images",
        )
    raise InvalidInput(
        f"There are {len(images)} photographs and {len(cameras)} cameras.",
        hint="Give a camera for each photograph, in the same order, or leave those photographs out.",
        field="cameras",
    )


def _stem(name: str) -> str:
    return PurePath(name.replace("\\", "/")).stem


def _place(images: Sequence[Array], image: Array) -> int:
    return next(place for place, other in enumerate(images) if other is image)


def _check_convention(cameras: Sequence[Camera], mesh: np.ndarray, origin: np.ndarray) -> None:
    points = mesh[..., :3].reshape(-1, 3)
    if origin.any():  # conventions turn the world about its own origin
        points = points[:: -(-len(points) // MOST_POINTS)].astype(np.float64) + origin
    _check_same_place(cameras, points)
    flip = fitting_flip(cameras, points)
    if flip:
        raise InvalidInput(
            f"The mesh projects outside the photographs' frames; it would be inside if {FLIPS[flip]}.",
            hint=f"Turn them with --flip {flip}, or import them in Blender with the Convention {flip}.",
            field="cameras",
        )


def _check_same_place(cameras: Sequence[Camera], points: np.ndarray) -> None:
    """Raises where the mesh stands in map coordinates and the cameras do not, or the other way round."""
    points = points[:: -(-len(points) // MOST_POINTS)].astype(np.float64)
    centers = np.array([camera.center for camera in cameras])
    away = float(np.linalg.norm(np.median(centers, axis=0) - np.median(points, axis=0)))
    size = float(np.linalg.norm(np.ptp(points, axis=0)) + np.linalg.norm(np.ptp(centers, axis=0)))
    if away > APART * size and not shares_in_frame(cameras, points[:MOST_POINTS]).any():
        raise InvalidInput(
            f"The cameras stand {away:.7g} m from the mesh, which none of them sees: the two are not in one coordinate system.",
            hint="Export both with the same offset, or both without one.",
            field="cameras",
        )


# Photographs with UV maps ---------------------------------------------------------------------------------------------


def _views_of_maps(images: Sequence[Array], inputs: Mapping[str, Any]) -> list[ScanView]:
    count = len(images)
    uv_maps = _per_photograph(inputs["uv_maps"], count, "uv_maps", "UV map")
    depths = _per_photograph(inputs.get("depth_maps"), count, "depth_maps", "depth map")
    facings = _per_photograph(inputs.get("facing_maps"), count, "facing_maps", "facing map")
    masks = _per_photograph(inputs.get("masks"), count, "masks", "mask")
    views = []
    for index, (image, uv_map) in enumerate(zip(images, uv_maps, strict=True)):
        name = str(image.attributes.get("name") or uv_map.attributes.get("name") or f"photograph {index + 1}")
        shape = uv_map.values.shape[:2]
        for maps, word in ((depths, "depth map"), (facings, "facing map")):
            if maps and maps[index].values.shape != shape:
                raise InvalidInput(
                    f"The {word} of {name} is {_size(maps[index].values.shape)}; its UV map is {_size(shape)}.",
                    field=word.replace(" ", "_") + "s",
                )
        width, height = _solved_size(name, size_of(image), (shape[1], shape[0]))
        own = Maps(uv_map.values, depths[index].values if depths else None, facings[index].values if facings else None)
        mask = _mask(masks, index, (size_of(image)[1], size_of(image)[0]), name)
        views.append(ScanView(index, name, image, width, height, maps=own, mask=mask))
    return views


def _solved_size(name: str, photograph: tuple[int, int], maps: tuple[int, int]) -> tuple[int, int]:
    """The pixels that are solved with: the photograph's where the UV map is a whole number of times as large (UVs are smooth
    and lose nothing by averaging), the UV map's otherwise."""
    aspect = (photograph[0] / photograph[1]) / (maps[0] / maps[1])
    if not 1 / MOST_ASPECT <= aspect <= MOST_ASPECT:
        raise InvalidInput(
            f"The photograph {name} is {photograph[0]} x {photograph[1]} pixels, its UV map {maps[0]} x {maps[1]}: "
            "they do not show the same frame.",
            field="uv_maps",
        )
    times = maps[0] // photograph[0]
    whole = times >= 1 and maps == (times * photograph[0], times * photograph[1])
    return photograph if whole else maps


def _tiles_of_maps(views: Sequence[ScanView]) -> list[int]:
    tiles: set[int] = set()
    for view in views:
        assert view.maps is not None
        uv = view.maps.uv.reshape(-1, 2)
        uv = uv[np.isfinite(uv).all(axis=1)]
        if len(uv) and (float(uv.min()) < 0 or float(uv[:, 0].max()) > 10):
            raise InvalidInput(
                f"The UV map of {view.name} runs from {uv.min(axis=0)} to {uv.max(axis=0)}; UVs must be in 0..1, or in UDIM "
                "tiles to the right of it and above.",
                hint="Mark pixels that show no surface by NaN (in NeuralTexGen's layout by -1 in both channels).",
                field="uv_maps",
            )
        place = np.floor(np.minimum(uv, np.nextafter(np.ceil(uv.max(axis=0)), 0, dtype=np.float32))) if len(uv) else uv
        tiles |= {1001 + int(u) + 10 * int(v) for u, v in np.unique(place, axis=0)}
    if not tiles:
        raise InvalidInput("No UV map shows any surface: all are NaN throughout.", field="uv_maps")
    return sorted(tiles)


# Both -----------------------------------------------------------------------------------------------------------------


def _per_photograph(given: Sequence[Array] | None, count: int, port: str, word: str) -> Sequence[Array]:
    given = given or ()
    if given and len(given) != count:
        raise InvalidInput(
            f"There are {count} photographs and {len(given)} {word}s; each photograph needs one.", field=port
        )
    return given


def _mask(masks: Sequence[Array], index: int, shape: tuple[int, int], name: str) -> np.ndarray | None:
    """The photograph's mask; None where everything counts, which a mask of one pixel says, too."""
    if not masks:
        return None
    mask = masks[index].values
    if mask.shape == (1, 1):
        if float(mask[0, 0]) >= 1.0:
            return None
        return np.broadcast_to(mask, shape)
    if mask.shape != shape:
        raise InvalidInput(
            f"The mask of {name} is {_size(mask.shape)}; the photograph is {_size(shape)}.",
            hint="A mask must have the size of its photograph.",
            field="masks",
        )
    return mask


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"
