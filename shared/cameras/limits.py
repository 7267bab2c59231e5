"""How large a camera file may be: known before it is read, far above what any reconstruction writes."""

from __future__ import annotations

MOST_BYTES = 8 << 30  # of a COLMAP model's images, with every point that each of 100,000 photographs sees
MOST_JSON_BYTES = 2 << 30  # Meshroom's files may carry every point of the scene
MOST_PLAIN_BYTES = 1 << 20  # of one camera alone
