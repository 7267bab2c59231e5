"""Meshes and their UVs: rasterisation, charts, seams, edges, fill."""
