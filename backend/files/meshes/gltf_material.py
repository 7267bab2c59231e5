"""The material of a GLB: pictures put into its buffer, and the PBR material that names them.

glTF wants roughness in the green and metalness in the blue channel of one picture, and occlusion in red: single maps are packed so.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.errors
from PIL import Image

from backend.files.rasters import gdal
from shared.errors import InvalidInput
from shared.plain_files import is_special, require_plain

_CLAMP_TO_EDGE, _LINEAR, _LINEAR_MIPMAP_LINEAR = 33071, 9729, 9987
_PACKED = {"ambient_occlusion": 0, "roughness": 1, "metallic": 2}  # by channel
_UNPACKED_LEVEL = {"ambient_occlusion": 255, "roughness": 255, "metallic": 0}


def append(document: dict[str, Any], binary: bytearray, content: bytes) -> int:
    """A buffer view with this content; its number."""
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
    binary += content + b"\0" * (-len(content) % 4)
    return len(document["bufferViews"]) - 1


def add_material(document: dict[str, Any], binary: bytearray, pictures: Mapping[str, Path]) -> int:
    """A material with these pictures, by map name; its number. Raises InvalidInput for a picture that glTF cannot hold."""
    named = pictures.get("base_color") or next(iter(pictures.values()))
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    material: dict[str, Any] = {
        "name": named.stem,
        "doubleSided": True,  # a scan is open below, and seen from there too
        "pbrMetallicRoughness": surface,
    }
    if "base_color" in pictures:
        surface["baseColorTexture"] = _texture(document, binary, *embeddable(pictures["base_color"]), named.stem)
    packed = {name: pictures[name] for name in _PACKED if name in pictures}
    if packed:
        texture = _texture(document, binary, _pack(packed), "image/png", f"{named.stem}.packed")
        if "roughness" in packed or "metallic" in packed:
            surface |= {"metallicRoughnessTexture": texture, "metallicFactor": 1.0}
        if "ambient_occlusion" in packed:
            material["occlusionTexture"] = texture
    if "normal" in pictures:
        material["normalTexture"] = _texture(document, binary, *embeddable(pictures["normal"]), pictures["normal"].stem)
    if "emission" in pictures:
        texture = _texture(document, binary, *embeddable(pictures["emission"]), pictures["emission"].stem)
        material |= {"emissiveTexture": texture, "emissiveFactor": [1.0, 1.0, 1.0]}
    document.setdefault("materials", []).append(material)
    return len(document["materials"]) - 1


def _texture(document: dict[str, Any], binary: bytearray, content: bytes, media_type: str, name: str) -> dict[str, int]:
    view = append(document, binary, content)
    images = document.setdefault("images", [])
    images.append({"bufferView": view, "mimeType": media_type, "name": name})
    document["samplers"] = [
        {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR, "wrapS": _CLAMP_TO_EDGE, "wrapT": _CLAMP_TO_EDGE}
    ]
    document.setdefault("textures", []).append({"source": len(images) - 1, "sampler": 0})
    return {"index": len(images) - 1}


def _pack(pictures: Mapping[str, Path]) -> bytes:
    """PNG of 8 bits: occlusion, roughness and metalness in red, green and blue; what is missing leaves the surface as it is."""
    levels = {name: _levels_8(path)[0] for name, path in pictures.items()}
    shape = next(iter(levels.values())).shape
    packed = np.stack([levels.get(name, np.full(shape, _UNPACKED_LEVEL[name], np.uint8)) for name in _PACKED], axis=-1)
    return _png(packed)


def embeddable(path: Path) -> tuple[bytes, str]:
    """A picture's bytes as glTF takes them, and their media type: PNG and JPEG only, and viewers expect 8 bits."""
    if is_special(path):
        require_plain(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, str(error)) from error
    if content[:3] == b"\xff\xd8\xff":
        return content, "image/jpeg"
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[24] == 8:  # bits per sample
        return content, "image/png"
    return _png(np.ascontiguousarray(_levels_8(path)[:3].transpose(1, 2, 0))), "image/png"


def _levels_8(path: Path) -> np.ndarray:
    """uint8 [channels, H, W] of a picture with 8 or 16 bits."""
    try:
        with gdal.opened(path) as source:
            levels = source.read()
    except (OSError, rasterio.errors.RasterioError) as error:
        raise _refused(path, str(error)) from error
    if levels.dtype == np.uint8:
        return levels
    if levels.dtype != np.uint16:
        raise _refused(path, f"its pixels are {levels.dtype}")
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _png(levels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


def _refused(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        f"The texture {path.name} cannot be put into a GLB ({reason}).",
        hint="Write the texture as PNG, or the mesh as OBJ.",
        field=str(path),
    )
