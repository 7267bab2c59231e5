"""Parts of the terrain engine: from a sketch of classes to ground, water and colour."""
