"""Rivers and lakes of finished heights, as the outputs of the engines whose terrain water has shaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from backend.ops.terrain.lakes import Lakes
from backend.ops.terrain.river_lines import river_lines
from shared.arrays import CURVES, MASK, Array, height_map
from shared.curves import rows_of

LEAST_SHARE = 1.0 / 1000.0  # of the map: less land has no river that a map of it would show
LEAST_CELLS = 64


def outputs(lakes: Lakes, attributes: Mapping[str, Any], device: torch.device | str = "cpu") -> dict[str, Array]:
    """The ports of shared.catalog.inland_waters. attributes: of the heights that the lakes lie in. device: that routes the
    water."""
    rows, columns = lakes.where.shape
    pixel_size_m = float(attributes["pixel_size_m"])
    least_m2 = max(LEAST_SHARE * rows * columns, LEAST_CELLS) * pixel_size_m**2
    rivers = river_lines(lakes.surface.to(device), pixel_size_m, least_m2=least_m2, still=lakes.where)
    place = {name: attributes[name] for name in ("crs", "transform") if name in attributes}
    return {
        "rivers": Array(CURVES, rows_of(rivers), {**place, "map_size_px": [columns, rows]}),
        "water": Array(MASK, lakes.where.float().numpy(), dict(attributes)),
        "water_level": height_map(lakes.surface.numpy(), **attributes),
    }
