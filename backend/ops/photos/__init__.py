"""Photographs: alignment, undistortion, weights of pixels, colour correction."""
