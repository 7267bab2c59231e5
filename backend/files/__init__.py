"""Everything that opens a file: height maps and images, meshes, photographs, exemplars."""
