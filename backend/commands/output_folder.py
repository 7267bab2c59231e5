"""The folder that results go into: all of them, or none.

Everything is written into a hidden folder first and moved when the last byte is on the disk: a run that fails, is interrupted or
meets a full disk leaves what was there before.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from backend.commands import formats, recipe_files
from backend.files import rasters
from backend.files.rasters.georeference import Georeference, from_attributes
from backend.files.rasters.writing import storage_error, write_bytes
from shared.algorithm import AlgorithmSpec
from shared.arrays import MESH, REPORT, TEXTURE, Array

if TYPE_CHECKING:
    from backend.runtime.compute import Computed


class OutputFolder:
    """`with OutputFolder(path) as folder:` fails before anything is computed where nothing can be written there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stage: Path | None = None

    def __enter__(self) -> OutputFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._stage = Path(tempfile.mkdtemp(prefix=".relievo-", dir=self.path))
        except OSError as error:
            raise storage_error(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stage is not None:
            shutil.rmtree(self._stage, ignore_errors=True)

    @property
    def scratch(self) -> Path:
        """A folder for files that are needed while the run lasts, gone after it."""
        assert self._stage is not None, "scratch belongs inside the with block"
        return self._stage / "scratch"

    def write(
        self,
        spec: AlgorithmSpec,
        request: Mapping[str, Any],
        computed: Computed,
        arrays: Mapping[str, tuple[Array, ...]],
    ) -> list[Path]:
        """Every output in every format that it can have, then the recipe; returns their paths in that order."""
        assert self._stage is not None, "write() belongs inside the with block"
        chosen = formats.resolve(spec, request["formats"])
        outputs: dict[str, Any] = {port: {} for port in computed.outputs}
        late = [
            port for port, given in computed.outputs.items() if given[0].kind is MESH
        ]  # they name the textures' files
        for port in [*(port for port in computed.outputs if port not in late), *late]:
            for array in computed.outputs[port]:
                georeference = matching_georeference(array, arrays)
                for name in chosen[port]:
                    outputs[port].update(
                        self._write_one(array, _stem(port, array), name, georeference, outputs, computed)
                    )
        recipe = recipe_files.with_files(computed.recipe, request, outputs)
        write_bytes(self._stage / recipe_files.NAME, (json.dumps(recipe, indent=1) + "\n").encode())
        return [self._publish(name) for made in (*outputs.values(), (recipe_files.NAME,)) for name in made]

    def _write_one(
        self,
        array: Array,
        stem: str,
        format_name: str,
        georeference: Georeference | None,
        outputs: Mapping[str, Any],
        computed: Computed,
    ) -> dict[str, Any]:
        """Writes an array in a format; for each file made what a reader of it must know."""
        assert self._stage is not None
        name = stem + formats.FORMATS[format_name].ending
        path = self._stage / name
        if array.kind is REPORT:
            write_bytes(path, readable_json(json.loads(array.values.tobytes())).encode())
            return {name: {}}
        if array.kind is not MESH:
            return {
                name: rasters.write(array, path, georeference=georeference, bits=8 if format_name == "png8" else 16)
            }
        from backend.files.meshes.writing import write as write_mesh

        write_mesh(array, path, texture_name=_texture_name(outputs, computed))
        beside = path.with_suffix(".mtl")
        return {name: {}} | ({beside.name: {}} if format_name == "obj" and beside.is_file() else {})

    def _publish(self, name: str) -> Path:
        assert self._stage is not None
        try:
            os.replace(self._stage / name, self.path / name)
        except OSError as error:
            raise storage_error(self.path / name, error) from error
        return self.path / name


def _stem(port: str, array: Array) -> str:
    """texture, texture.1002 for a UDIM tile, texture.mip1 for a level of its mip chain."""
    tile = f".{array.attributes['tile']}" if "tile" in array.attributes else ""
    return f"{port}{tile}" + (f".mip{array.attributes['mip']}" if array.attributes.get("mip") else "")


def _texture_name(outputs: Mapping[str, Any], computed: Computed) -> str | None:
    """The texture file that a mesh names: a picture that every program reads where there is one, <UDIM> for a tile's number."""
    for port, given in computed.outputs.items():
        if given[0].kind is not TEXTURE:
            continue
        whole = [array for array in given if not array.attributes.get("mip")]
        stem = f"{port}.<UDIM>" if "tile" in whole[0].attributes else port
        endings = dict.fromkeys(Path(name).suffix for name in outputs[port])
        usual = [ending for ending in endings if ending in formats.PICTURED] + [
            ending for ending in endings if ending in (".exr", ".tif")
        ]
        return stem + usual[0] if usual else None
    return None


def readable_json(content: Any) -> str:
    """JSON for people: a line a key, and a line an entry in lists of objects, so that each photograph has one."""
    if not isinstance(content, dict):
        return json.dumps(content, ensure_ascii=False) + "\n"
    lines = []
    for key, value in content.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value and all(isinstance(item, (dict, str)) for item in value):
            rows = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(key, ensure_ascii=False)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def matching_georeference(array: Array, arrays: Mapping[str, tuple[Array, ...]]) -> Georeference | None:
    """Where the output lies: where the first input of its size and pixel size lies."""
    if "pixel_size_m" not in array.attributes and array.values.ndim != 2:
        return None
    for given in arrays.values():
        for candidate in given:
            same_shape = candidate.values.shape[:2] == array.values.shape[:2]
            same_size = candidate.attributes.get("pixel_size_m") == array.attributes.get(
                "pixel_size_m", candidate.attributes.get("pixel_size_m")
            )
            if same_shape and same_size and (reference := from_attributes(dict(candidate.attributes))):
                return reference
    return None
