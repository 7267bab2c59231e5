"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

TILE = 16  # pixels, a side: strokes are sorted into tiles, and only the tiles that they touch are looked at
# Where along a curve a pixel's nearest point is about is looked for on chords: so many that they lie close to the curve, that a
# disc grows by no more than a part of a chord's length, and at most CHORDS.
CHORDS = 8
FLATNESS_PX = 0.15
TAPER_CHORDS = 4.0  # times what the radius grows by per length
NEWTON_STEPS = 3  # from there; the plain form takes one more where it needs a derivative
# Newton's divisor is at least this share of the squared speed: beyond the curve's centre of curvature it is negative.
LEAST_BEND = 0.1
SAGITTA = 1 / 24  # area between an arc of curvature 1 and its chord of length 1
REACH = 0.7072  # half the diagonal of a pixel: farther from the edge a pixel is inside or outside
