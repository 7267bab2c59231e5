"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

BAND = 16  # rows of a strip: its depths and owners (12 bytes a pixel) stay in a core's second cache up to 5000 columns
SUBTEXELS = 256  # steps of a corner's coordinate in a texel
UNREACHED = 255  # state of a texel that no ring of a chart's colours has reached yet
