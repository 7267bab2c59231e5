"""Relievo's own cameras.json: what Camera holds, as it is, so that nothing is lost between programs.

    {"format": "relievo-cameras", "version": 1, "cameras": [
      {"name": "IMG_1.jpg", "width": 4000, "height": 3000, "fx": 3200.5, "fy": 3200.5, "cx": 2000.0, "cy": 1500.0,
       "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "translation": [0.0, 0.0, 2.5],
       "distortion": {"model": "perspective", "coefficients": [-0.1, 0.02, 0, 0, 0, 0, 0, 0]}}]}

Pixels count from the outer corner of the top left one, camera space is x right, y down, z forward, p_camera = rotation p_world +
translation in metres; distortion, which may be missing, is as shared/cameras/camera.py says it. Unknown fields are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from .camera import COEFFICIENTS, FISHEYE, PERSPECTIVE, Camera, Distortion
from .json_fields import number, numbers, objects, text
from .pose import posed

FORMAT = "relievo-cameras"
VERSION = 1


def parse(document: Mapping[str, Any], path: str) -> list[Camera]:
    """The cameras of a document. Raises InvalidInput, also for one of a later version."""
    version = number(document, "version", path, VERSION)
    if version > VERSION:
        raise InvalidInput(
            f"{path} has version {version:g}; this version of Relievo reads up to {VERSION}.",
            hint="Update Relievo.",
            field="cameras",
        )
    return [_camera(item, path) for item in objects(document, "cameras", path)]


def _camera(item: Mapping[str, Any], path: str) -> Camera:
    name = text(item, "name", path)
    what = f"{path}, {name}"
    return posed(
        name=name,
        size=(number(item, "width", what), number(item, "height", what)),
        focal=(number(item, "fx", what), number(item, "fy", what)),
        center=(number(item, "cx", what), number(item, "cy", what)),
        rotation=numbers(item, "rotation", 9, what).reshape(3, 3),
        translation=numbers(item, "translation", 3, what),
        distortion=_distortion(item.get("distortion"), what),
    )


def _distortion(item: Any, what: str) -> Distortion:
    if item is None:
        return Distortion()
    model = item.get("model") if isinstance(item, Mapping) else None
    if model not in (PERSPECTIVE, FISHEYE):
        raise InvalidInput(
            f"{what}: the distortion's model is {model!r}; it must be {PERSPECTIVE} or {FISHEYE}.", field="cameras"
        )
    given = item.get("coefficients", [])
    if not isinstance(given, list) or len(given) > COEFFICIENTS:
        raise InvalidInput(f"{what}: coefficients takes a list of up to {COEFFICIENTS} numbers.", field="cameras")
    return Distortion(
        str(model), tuple(numbers(item, "coefficients", len(given), what)) if given else (0.0,) * COEFFICIENTS
    )


def write(cameras: Iterable[Camera], path: Path) -> None:
    """Write cameras into a file; reading it gives the same numbers to the last bit."""
    lines = ",\n".join(" " + json.dumps(_to_json(camera), allow_nan=False) for camera in cameras)
    Path(path).write_text(
        f'{{"format": "{FORMAT}", "version": {VERSION}, "cameras": [\n{lines}\n]}}\n', encoding="utf-8"
    )


def _to_json(camera: Camera) -> dict[str, Any]:
    made: dict[str, Any] = {
        **{key: getattr(camera, key) for key in ("name", "width", "height", "fx", "fy", "cx", "cy")},
        "rotation": camera.rotation.tolist(),
        "translation": camera.translation.tolist(),
    }
    if not camera.distortion.is_none:
        made["distortion"] = {
            "model": camera.distortion.model,
            "coefficients": [float(value) for value in camera.distortion.coefficients],
        }
    return made
