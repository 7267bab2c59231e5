"""Ground that lines bend: rivers, ridges, cliffs, coasts and roads. The op is bending.bend; the other modules are its parts."""
