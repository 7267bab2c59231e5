"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

PAIRS = 10  # of a cell's four corners with themselves and each other
COLUMNS = 3 * PAIRS + 8 + 2  # gxx gxy gyy of each pair; gx r, gy r of each corner; weight, weighted squared residual
