"""What de Guevara et al. 2023 know of the things in a photograph: which lie behind which, and how many strokes they get.

Classes are known by words of COCO's panoptic names: "sky" in "sky-other-merged".
"""

from __future__ import annotations

from collections.abc import Mapping

BACKGROUND = "background"
# From what lies farthest back to what stands in front. A class with none of these words is a thing, and comes before the living
# ones.
BACK_TO_FRONT = (
    *(BACKGROUND, "sky", "mountain", "sea", "water", "river", "snow", "sand", "ceiling", "wall", "window", "floor"),
    *("road", "railroad", "pavement", "platform", "playingfield", "dirt", "gravel", "grass", "rock", "tree"),
    *("building", "house", "roof", "bridge", "fence"),
)
FRONT = (
    *("person", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "bird", "flower"),
    "plant",
)
# Strokes in a window of a pass. They give no number for other classes, which get their style's.
WINDOW_STROKES: Mapping[str, int] = {"sky": 9, "sea": 49, "rock": 81, "person": 64, "tree": 64, "building": 36}


def depth(name: str) -> int:
    """A class's place from back to front."""
    words = _words(name)
    for number, word in enumerate(BACK_TO_FRONT):
        if word in words:
            return number
    front = next((number for number, word in enumerate(FRONT) if word in words), -1)
    return len(BACK_TO_FRONT) + 1 + front


def window_strokes(name: str) -> int | None:
    """How many strokes a class gets in a window of a pass; None for its style's."""
    words = _words(name)
    return next((count for word, count in WINDOW_STROKES.items() if word in words), None)


def _words(name: str) -> list[str]:
    return name.lower().replace("-", " ").split()
