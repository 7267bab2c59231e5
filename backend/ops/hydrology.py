"""Water on a height map: depressions, flow routing and drainage area.

numpy float32 [H, W] in and out, metres; row 0 is the top row; cells on the edge of the grid are outlets.
"""

from __future__ import annotations

from backend.ops.depressions import breach_depressions, fill_depressions, pit_fraction, pit_mask

__all__ = ["breach_depressions", "fill_depressions", "pit_fraction", "pit_mask"]
