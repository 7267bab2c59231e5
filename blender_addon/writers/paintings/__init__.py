"""Paintings in Blender: canvases and what they wear, thick paint, painted meshes, and strokes as curves and Grease Pencil."""
