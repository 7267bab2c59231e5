"""Pure functions on tensors and arrays: no socket, no file, no Blender."""
