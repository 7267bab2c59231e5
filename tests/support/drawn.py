"""The rasteriser with NumPy arrays in and out, for tests that look at its maps pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from backend.ops.surface import rasterization
from backend.ops.surface.rasterization import Projection, SurfaceMap
from shared.cameras.camera import Camera


@dataclass(frozen=True, eq=False)
class Drawn:
    """A SurfaceMap in NumPy arrays."""

    uv: np.ndarray
    depth: np.ndarray
    facing: np.ndarray
    footprint: np.ndarray
    stretch: np.ndarray
    triangle: np.ndarray

    def on(self, device: str = "cpu") -> SurfaceMap:
        """As a SurfaceMap; on the CPU it shares memory."""
        return SurfaceMap(
            **{field.name: torch.from_numpy(getattr(self, field.name)).to(device) for field in fields(self)}
        )


def project(
    mesh: np.ndarray, camera: Camera, occluders: np.ndarray | None = None, *, device: str = "cpu", **more: Any
) -> Projection:
    own, others = (None if given is None else torch.from_numpy(given.copy()).to(device) for given in (mesh, occluders))
    assert own is not None
    return rasterization.project(own, camera, others, **more)


def draw(projection: Projection, *rows: int | None, out: Drawn | None = None, **more: Any) -> Drawn:
    seen = rasterization.draw(projection, *rows, out=None if out is None else out.on(), **more)  # type: ignore[arg-type]
    return Drawn(**{field.name: getattr(seen, field.name).cpu().numpy() for field in fields(Drawn)})
