"""How an object that lies hidden under a result is known."""

from __future__ import annotations

KEY = "relievo_covered_by"  # custom property of what is hidden: the name of the terrain that lies over it
