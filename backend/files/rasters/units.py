"""Units of length as files word them, and what a coordinate system says about heights.

Heights are in the unit of the band, else of the vertical coordinate system, else of an old ESRI .prj; without any of them they are
metres. A coordinate system is WKT here, as GDAL writes it; nothing is opened.
"""

from __future__ import annotations

import math
import re

FOOT_M, US_FOOT_M = 0.3048, 1200 / 3937

CHOICES = {
    "m": 1.0,
    "ft": FOOT_M,
    "us-ft": US_FOOT_M,
    "cm": 0.01,
    "dm": 0.1,
    "mm": 0.001,
    "km": 1000.0,
}
"""What --height-unit takes, in metres."""

_WORDS = {
    "m": ("m", "metre", "metres", "meter", "meters", "metros", "meter(s)", "metre(s)"),
    "ft": ("ft", "foot", "feet", "internationalfoot", "internationalfeet", "intlfoot", "intlfeet", "ift", "'"),
    "us-ft": (
        *("ussurveyfoot", "ussurveyfeet", "ussurveyft", "ftus", "usft", "surveyfoot", "surveyfeet", "sft", "footus"),
        *("feetus", "foot(us)", "foot_us", "us_survey_foot", "ussfoot", "foot_survey_us"),
    ),
    "cm": ("cm", "centimetre", "centimetres", "centimeter", "centimeters"),
    "dm": ("dm", "decimetre", "decimetres", "decimeter", "decimeters"),
    "mm": ("mm", "millimetre", "millimetres", "millimeter", "millimeters"),
    "km": ("km", "kilometre", "kilometres", "kilometer", "kilometers"),
}
_OTHERS = {
    "fathom": 1.8288,
    "fathoms": 1.8288,
    "yard": 0.9144,
    "yards": 0.9144,
    "yd": 0.9144,
    "in": 0.0254,
    "inch": 0.0254,
}
_METRES = {_word: CHOICES[_unit] for _unit, _some in _WORDS.items() for _word in _some} | _OTHERS


def metres(word: str) -> float | None:
    """The unit in metres; None for a word that is no known unit of length."""
    plain = re.sub(r"[\s.\-]+", "", word.lower())
    return _METRES.get(plain, _METRES.get(re.sub(r"[_()]+", "", plain)))


def vertical(wkt: str) -> tuple[str, float | None, bool]:
    """(unit's name, unit in metres, whether its numbers grow downwards) of the vertical part; ("", None, False) without one."""
    part = _part(wkt, r"\b(?:VERT_CS|VERTCRS|VERTICALCRS)\[")
    if not part:
        return "", None, False
    found = re.search(r'\b(?:LENGTH)?UNIT\["([^"]*)",\s*([0-9.eE+-]+)', part)
    down = re.search(r'AXIS\["[^"]*",\s*DOWN', part, re.IGNORECASE) is not None
    return (found[1], float(found[2]), down) if found else ("", None, down)


def horizontal(wkt: str) -> str:
    """The same coordinate system without its vertical part."""
    if not re.match(r"\s*(?:COMPD_CS|COMPOUNDCRS)\[", wkt):
        return wkt
    return _part(wkt, r"\b(?:PROJCS|PROJCRS|GEOGCS|GEOGCRS|LOCAL_CS|BOUNDCRS)\[") or wkt


def base_geographic(wkt: str) -> str:
    """A geographic coordinate system, as WKT 1, on the ellipsoid of a projected one; "" where the WKT has none."""
    found = _part(wkt, r"\bGEOGCS\[")
    if found:
        return found
    body = re.search(r'\bELLIPSOID\["[^"]*",\s*([0-9.eE+]+),\s*([0-9.eE+]+)', wkt)  # WKT 2, for what WKT 1 cannot say
    if not body:
        return ""
    datum = f'DATUM["of the projection",SPHEROID["its ellipsoid",{body[1]},{body[2]}]]'
    return f'GEOGCS["base",{datum},PRIMEM["Greenwich",0],UNIT["degree",{math.radians(1.0)!r}]]'


def _part(wkt: str, opening: str) -> str:
    """The first bracketed expression that begins like this; quoted text may hold brackets."""
    found = re.search(opening, wkt)
    if not found:
        return ""
    depth, quoted = 0, False
    for at in range(found.start(), len(wkt)):
        letter = wkt[at]
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "[]":
            depth += 1 if letter == "[" else -1
            if depth == 0:
                return wkt[found.start() : at + 1]
    return ""
