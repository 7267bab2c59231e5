"""Where one input comes from, as plain data, so that a recipe can name it and a later Regenerate can find it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Source:
    """kind: "image", "object", "collection", "exemplar", "noise"; for classes "materials" or "objects"; for scans "cameras",
    and of one camera "photograph", "mask", "uv_map", "depth_map" or "facing_map". name: of the datablock or landscape; for
    classes of the mesh whose extent they have. options: how it is read, in metres.
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
    return Source(str(values["kind"]), str(values.get("name", "")), dict(values.get("options", {})))
