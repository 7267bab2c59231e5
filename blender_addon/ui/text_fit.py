"""Sentences in the width of the sidebar: over several lines, or the longest wording that fits on one. Blender itself cuts what is
too long in the middle.

Widths are measured with the interface's font. Like all of draw(): no I/O, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from .. import typed

LABEL_MARGIN = 96.0  # of the sidebar's width, at scale 1: what boxes, tabs and an icon take
BAR_MARGIN = 78.0  # the same without the icon
NO_WINDOW_PX = 400.0  # where nothing is drawn in a region, as in a test


def wrapped(layout: bpy.types.UILayout, text: str, icon: str = "NONE") -> None:
    """A sentence over as many lines as it needs."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(lines(text, _width(LABEL_MARGIN))):
        column.label(text=line, icon=typed.icon(icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE"))


def lines(text: str, width_px: float) -> list[str]:
    """The words of a text over lines of at most this width; a word that is wider stands alone."""
    found: list[str] = []
    for word in text.split():
        if found and measure(f"{found[-1]} {word}") <= width_px:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def on_a_bar(texts: Sequence[str]) -> str:
    """The first of these wordings that a progress bar of the sidebar has room for, beginning with a capital letter; the last one
    with an ellipsis where none fits.
    """
    text = fitting(texts, _width(BAR_MARGIN))
    return f"{text[:1].upper()}{text[1:]}"


def fitting(texts: Sequence[str], width_px: float) -> str:
    """The first that is no wider, else as much of the last as is."""
    for text in texts:
        if measure(text) <= width_px:
            return text
    text = texts[-1]
    while text and measure(f"{text}…") > width_px:
        text = text[:-1]
    return f"{text}…"


def one_line(text: str) -> str:
    """As much of a text as a label of the sidebar has room for."""
    return fitting([" ".join(text.split())], _width(LABEL_MARGIN))


def length(metres: float) -> str:
    """ "20 km", "39.1 m": three digits that count."""
    return f"{metres / 1000.0:.3g} km" if metres >= 1000.0 else f"{metres:.3g} m"


def measure(text: str) -> float:
    """Pixels that the interface's font takes."""
    import blf

    points = bpy.context.preferences.ui_styles[0].widget.points
    blf.size(0, points * _scale())
    return blf.dimensions(0, text)[0]


def _width(margin: float) -> float:
    region = bpy.context.region
    return max(region.width - margin * _scale(), 120.0 * _scale()) if region is not None else NO_WINDOW_PX


def _scale() -> float:
    return bpy.context.preferences.system.ui_scale or 1.0  # 0 in background mode
