"""Where one input comes from, as plain data, so that a recipe can name it and a later Regenerate can find it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..shared.catalog import algorithms


@dataclass(frozen=True)
class Source:
    """kind: "image", "object", "collection", "exemplar", "engine", "material"; for pictures and their segments "view" of the
    scene's camera and "surface" of a mesh; for classes "sketch", "drawing", "materials" or "objects"; for CURVES "curves", with the
    sources of "maps" among the options; for scans "cameras", and of one camera "photograph", "mask", "uv_map", "depth_map" or
    "facing_map". name: of the datablock, landscape or engine; for classes of the mesh whose extent they have, for a drawing of its
    collection, "" for the whole scene. options: how it is read, in metres; of a drawing of selected meshes their names under
    "meshes"; of a surface what readers/surface_colors.py has found on it.
    """

    kind: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def text(self) -> str:
        """As an operator takes it: "object:Terrain"."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


def from_json(values: Mapping[str, Any]) -> Source:
    """A source as a recipe holds it. Recipes of version 0.1 have the engine that feeds an input as the kind itself."""
    kind, name = str(values["kind"]), str(values.get("name", ""))
    if not name and is_engine(kind):
        kind, name = "engine", kind
    return Source(kind, name, dict(values.get("options", {})))


def is_engine(name: str) -> bool:
    """Whether there is an engine of that name."""
    return any(spec.name == name for spec in algorithms())
