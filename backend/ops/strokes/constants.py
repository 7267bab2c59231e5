"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

TILE = 16  # pixels, a side: strokes are sorted into tiles, and only the tiles that they touch are looked at
SIDE, BLOCKS = 4, 16  # compiled kernels take a tile by blocks of 4 x 4 pixels, each a vector
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

# The brush. Shares are of the canvas's longer side; lengths and places of a stroke's radius.
SIDE_PX = 512  # a canvas on which a hair ends within a pixel
FEWEST_HAIRS, MOST_HAIRS, HAIRS_PER_SHARE = 4.0, 40.0, 320.0
HAIR_LENGTH = 3.5  # how far a hair leaves the same trace
RAGGED_END, RAGGED_START = 1.1, 0.5  # how far hairs may fall short
STREAK, SHADE, FURROW = 0.45, 0.13, 0.75  # of opacity, colour and thickness in the furrows
RIM, RIM_AT, RIM_WIDTH = 0.35, 0.8, 0.15  # paint that is pushed to the sides
STOP, STOP_AT, STOP_WIDTH = 0.45, 0.35, 0.35  # and to the end
BODY, THINNING = 0.55, 0.35
FULL_SHARE = 0.1  # a brush of that radius carries paint of thickness 1
ROUNDING = 0.25  # of the edge of the paint
LEVELLED = 0.5  # how much of the paint below is pressed flat
COLUMN_FACTOR, ROW_FACTOR = 0x9E3779B1, 0x85EBCA77  # odd

# The dry brush
PULL = 3.0  # how far the hair that reaches farthest drags paint, in radii of the stroke
PULL_SAMPLES, PULL_FADING = 16, 2.0  # along that way, and by which power of e the last counts less
DRY_EDGE = 0.4  # of the radius, over which it touches less and less
GROOVE = 0.2  # of the paint's thickness that a hair takes away
