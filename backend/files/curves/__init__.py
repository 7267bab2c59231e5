"""Lines that bend a terrain, from GeoJSON and SVG."""
