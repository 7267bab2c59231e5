"""Arrays from files and to files: GeoTIFF, SRTM .hgt, PNG, EXR, ESRI ASCII grid, ENVI .bil and .npy.

The formats themselves are GDAL's (rasterio), OpenEXR's and NumPy's work; what is decided here is what a file means: metres, a
square pixel, north at the top, no holes. Algorithms never come here: they take and give arrays.
"""

from __future__ import annotations

from backend.files.rasters.reading import read, read_height, read_with_holes
from backend.files.rasters.writing import write

__all__ = ["read", "read_height", "read_with_holes", "write"]
