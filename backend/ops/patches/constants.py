"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

PATCH = 7  # pixels to each side of a patch
HASH_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)  # odd; of row, column, seed and draw
HASH_MIX = (0x2C1B3C6D, 0x297A2D39)
BANDS_PER_OCTAVE = 3
HIGHEST_FREQUENCY = 0.5  # cycles per pixel, along an axis
MOST_GAIN = 1.6  # of a band's amplitude, in one correction
