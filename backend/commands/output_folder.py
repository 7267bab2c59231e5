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

from backend import rasters
from backend.commands import recipe_files
from backend.rasters.georeference import Georeference, from_attributes
from backend.rasters.writing import storage_error, write_bytes
from shared.arrays import Array

if TYPE_CHECKING:
    from backend.compute import Computed


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

    def write(
        self, request: Mapping[str, Any], computed: Computed, arrays: Mapping[str, tuple[Array, ...]]
    ) -> list[Path]:
        """Every output in every format, then the recipe; returns their paths in that order."""
        assert self._stage is not None, "write() belongs inside the with block"
        outputs: dict[str, Any] = {}
        names: list[str] = []
        for port, given in computed.outputs.items():
            outputs[port] = {}
            for array in given:
                georeference = matching_georeference(array, arrays)
                stem = f"{port}.{array.attributes['tile']}" if "tile" in array.attributes else port
                for format_name in request["formats"]:
                    name = stem + rasters.FORMATS[format_name]
                    outputs[port][name] = rasters.write(array, self._stage / name, georeference=georeference)
                    names.append(name)
        recipe = recipe_files.with_files(computed.recipe, request, outputs)
        write_bytes(self._stage / recipe_files.NAME, (json.dumps(recipe, indent=1) + "\n").encode())
        names.append(recipe_files.NAME)
        return [self._publish(name) for name in names]

    def _publish(self, name: str) -> Path:
        assert self._stage is not None
        try:
            os.replace(self._stage / name, self.path / name)
        except OSError as error:
            raise storage_error(self.path / name, error) from error
        return self.path / name


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
