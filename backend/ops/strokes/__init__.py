"""Brush strokes on a canvas: their shape, painting them one over the other, colours by least squares, what each is worth.

Everything here is in pixels of the canvas, with pixel centres at +0.5, and in sRGB-encoded colours; codec.py converts from and to
the columns of STROKES arrays. Strokes are tensors in painting order: geometry [N, 8] (row0, column0, row1, column1, row2, column2,
radius0, radius2; the control point is absolute), opacity [N, 2] at both ends, color [N, 3].
"""
