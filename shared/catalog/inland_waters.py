"""The outputs that tell of rivers and lakes, of every engine whose heights water has shaped. They hold no code: that is
backend/algorithms/inland_waters.py.
"""

from __future__ import annotations

from ..algorithm import Port
from ..arrays import CURVES, HEIGHT_MAP, MASK

PORTS = (
    Port(
        name="rivers",
        kind=CURVES,
        label="Rivers",
        help="Rivers as smooth lines, downstream, with their level, width and drained land; none where all are small",
    ),
    Port(name="water", kind=MASK, label="Lakes", help="Where lakes and seas are; nowhere in most terrain"),
    Port(
        name="water_level",
        kind=HEIGHT_MAP,
        label="Water Level",
        help="The surface of lakes and seas; the ground elsewhere",
    ),
)
