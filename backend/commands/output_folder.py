"""The folder that results go into: all of them, or none.

Everything is written into a hidden folder first and moved when the last byte is on the disk: a run that fails, is interrupted or
meets a full disk leaves what was there before, and no empty folder either.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from backend.commands import formats, recipe_files
from backend.commands.interruption import remove_empty
from backend.files import kinds
from backend.files.rasters.georeference import Georeference, from_attributes
from backend.files.whole_files import storage_error, write_bytes
from shared.algorithm import AlgorithmSpec
from shared.arrays import COLOR_IMAGE, HEIGHT_MAP, TEXTURE, TEXTURE_SET, Array
from shared.classes import in_names
from shared.texture_set import maps_of

if TYPE_CHECKING:
    from backend.runtime.compute import Computed


class OutputFolder:
    """`with OutputFolder(path) as folder:` fails before anything is computed where nothing can be written there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: tuple[Path, ...] = ()  # the folders that were not there before, the innermost first
        self._stage: Path | None = None

    def __enter__(self) -> OutputFolder:
        try:
            self.made = tuple(folder for folder in (self.path, *self.path.parents) if not folder.exists())
            self.path.mkdir(parents=True, exist_ok=True)
            self._stage = Path(tempfile.mkdtemp(prefix=".relievo-", dir=self.path))
        except OSError as error:
            remove_empty(self.made)
            raise storage_error(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stage is not None:
            shutil.rmtree(self._stage, ignore_errors=True)
        remove_empty(self.made)

    @property
    def stage(self) -> Path:
        """The folder of what is half done, gone after the with block."""
        assert self._stage is not None, "stage belongs inside the with block"
        return self._stage

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
            port for port in computed.outputs if set(chosen[port]) & set(kinds.MESHES)
        ]  # they name the pictures' files
        for port in [*(port for port in computed.outputs if port not in late), *late]:
            for array, stem in zip(computed.outputs[port], stems(port, computed.outputs[port]), strict=True):
                georeference = matching_georeference(array, arrays)
                pictures = _pictures(outputs, computed) if port in late else {}
                colors = _colors(computed) if port in late and array.kind is HEIGHT_MAP else None
                for name in chosen[port]:
                    path = self._stage / (stem + kinds.ENDINGS[name])
                    writing = kinds.Writing(format=name, georeference=georeference, pictures=pictures, colors=colors)
                    outputs[port].update(kinds.write(array, path, writing))
        recipe = recipe_files.with_files(computed.recipe, request, outputs)
        write_bytes(self._stage / recipe_files.NAME, (json.dumps(recipe, indent=1) + "\n").encode())
        return [self.publish(name) for made in (*outputs.values(), (recipe_files.NAME,)) for name in made]

    def publish(self, name: str) -> Path:
        """Move a file of the stage to its place; returns its path there."""
        assert self._stage is not None, "publish() belongs inside the with block"
        try:
            os.replace(self._stage / name, self.path / name)
        except OSError as error:
            raise storage_error(self.path / name, error) from error
        return self.path / name


def stems(port: str, arrays: Sequence[Array]) -> list[str]:
    """File names without endings, each its own.

    Where tiles and mip levels do not tell several arrays of one port apart, their names do (density.forest), else numbers.
    """
    plain = [_stem(port, array) for array in arrays]
    if len(set(plain)) == len(plain):
        return plain
    words = [in_names(str(array.attributes.get("name", ""))) for array in arrays]
    if not all(words) or len(set(words)) < len(words):
        words = [str(number) for number in range(1, len(arrays) + 1)]
    return [f"{stem}.{word}" for stem, word in zip(plain, words, strict=True)]


def _stem(port: str, array: Array) -> str:
    """texture, texture.1002 for a UDIM tile, texture.mip1 for a level of its mip chain."""
    tile = f".{array.attributes['tile']}" if "tile" in array.attributes else ""
    return f"{port}{tile}" + (f".mip{array.attributes['mip']}" if array.attributes.get("mip") else "")


def _pictures(outputs: Mapping[str, Any], computed: Computed) -> dict[str, str]:
    """The files that a mesh's material names, by map: pictures that every program reads where there are some, <UDIM> in place of a
    tile's number."""
    for port, given in computed.outputs.items():
        whole = [array for array in given if not array.attributes.get("mip")]
        if given[0].kind is TEXTURE:
            stem = f"{port}.<UDIM>" if "tile" in whole[0].attributes else port
            stems = {"base_color": stem}
        elif given[0].kind is COLOR_IMAGE:
            stems = {"base_color": _stem(port, given[0])}
        elif given[0].kind is TEXTURE_SET:
            stems = {entry.name: f"{_stem(port, whole[0])}.{entry.name}" for entry in maps_of(whole[0])}
        else:
            continue
        endings = dict.fromkeys(Path(name).suffix for name in outputs[port])
        usual = [*(e for e in endings if e in kinds.EMBEDDED), *(e for e in endings if e in (".exr", ".tif"))]
        return {key: stem + usual[0] for key, stem in stems.items()} if usual else {}
    return {}


def _colors(computed: Computed) -> Array | None:
    """What heights that are written as a mesh look like, None where the engine makes no colours."""
    return next((array for given in computed.outputs.values() for array in given if array.kind is COLOR_IMAGE), None)


def matching_georeference(array: Array, arrays: Mapping[str, tuple[Array, ...]]) -> Georeference | None:
    """The georeference of the output: that of the first input with the same size and pixel size."""
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
