"""Meshes from files and to files: OBJ, PLY, OFF, STOFF, glTF, GLB and STL in; textured OBJ and GLB out.

The array kind is MESH: triangles by their corners, x y z in the file's own axes and unit (taken for metres), u to the right and
v up. Of this package algorithms use unwrapping.py alone, which opens no file; so nothing is imported here.
"""
