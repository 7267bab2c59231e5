"""Levels along a river's course that fall to its mouth, as near to its banks as falling allows.

Works on the sections of a course, from the mouth upwards. Every step keeps one rule: no section lies below one downstream of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.algorithms.sketch.river_course import SECTION_PX, Course

CUT_SHARE = 0.8  # of what keeps a river from falling: cut into high land, rather than dammed over low land
SMOOTH_PX, SOFT_PX = 12.0, 4.0  # over which banks are averaged along the river, and over which its fall changes
RAPIDS_PX = 12.0  # over which a river comes down from a lake that stands higher, at least

Links = list[tuple[int, int]]  # sections, and those that they flow to, from the mouth upwards


@dataclass(frozen=True)
class Ends:
    """bottom_m: the level at the mouth; -inf where the banks decide. sources_m: of lakes that the river leaves, by section."""

    bottom_m: float
    sources_m: dict[int, float]


@dataclass(frozen=True)
class Slopes:
    """Metres per pixel of way: the least fall, where the lakes at the ends are not nearer to each other, and the greatest."""

    least_m: float
    most_m: float


def fitted(course: Course, banks_m: np.ndarray, ends: Ends, slopes: Slopes, pocket_px: float) -> np.ndarray:
    """The level of each pixel [N], metres.

    banks_m [N]: the lowest land beside a pixel, NaN where there is none. pocket_px: shorter branches are bends of the shore.
    """
    below, way = course.below.tolist(), course.upper_way()
    links = [(upper, lower) for upper, lower in enumerate(below) if lower >= 0]
    pocket = _pockets(course, links, ends.sources_m, pocket_px)
    banks = _smooth(_of_sections(banks_m, course, links, pocket), links)
    between = [max(level - ends.bottom_m, 0.0) / way[section] for section, level in ends.sources_m.items()]
    fallen = way * min([slopes.least_m, *between])
    level = (_monotone(banks - fallen, fallen, links, ends) + fallen).tolist()
    for _ in range(2):
        level = _soft(level, links, ends.bottom_m)
    most = slopes.most_m * SECTION_PX
    level = _limited(level, links, ends.bottom_m, most)
    for section in ends.sources_m:
        _come_down(level, below, section, ends, most)
    _fill(level, links)
    return _on_pixels(np.array(level), course, ends.bottom_m)


def _pockets(course: Course, links: Links, sources: dict[int, float], pocket_px: float) -> list[bool]:
    """Sections of branches that are too short to be rivers; they are as level as the section that they leave."""
    step = course.step.tolist()
    top = [len(step) if section in sources else number for section, number in enumerate(step)]
    for upper, lower in reversed(links):
        top[lower] = max(top[lower], top[upper])
    longest = [0] * len(step)
    for upper, lower in links:
        longest[lower] = max(longest[lower], top[upper])
    pocket = [False] * len(step)
    for upper, lower in links:
        is_short = top[upper] < longest[lower] and (top[upper] - step[lower]) * SECTION_PX <= pocket_px
        pocket[upper] = pocket[upper] or pocket[lower] or is_short
    return pocket


def _of_sections(values: np.ndarray, course: Course, links: Links, pocket: list[bool]) -> list[float]:
    """The least value of each section; one that has none takes that of its neighbour along the river."""
    known = ~np.isnan(values)
    least = np.asarray(ndimage.minimum(values[known], course.section[known], np.arange(len(course.below))))
    has = np.zeros(len(course.below), bool)
    has[course.section[known]] = True
    made = np.where(has & ~np.array(pocket), least, np.nan).tolist()
    for upper, lower in reversed(links):
        made[lower] = made[upper] if made[lower] != made[lower] and not pocket[upper] else made[lower]
    for upper, lower in links:
        made[upper] = made[lower] if made[upper] != made[upper] else made[upper]
    return made


def _smooth(values: list[float], links: Links) -> np.ndarray:
    """Averaged along the river, upstream and downstream alike."""
    share = SECTION_PX / SMOOTH_PX
    up, down = list(values), list(values)
    for upper, lower in links:
        up[upper] = up[lower] + share * (values[upper] - up[lower])
    for upper, lower in reversed(links):
        down[lower] = down[upper] + share * (values[lower] - down[upper])
    return (np.array(up) + np.array(down)) / 2.0


def _fill(values: list[float], links: Links) -> None:
    for upper, lower in links:
        values[upper] = max(values[upper], values[lower])


def _carve(values: list[float], links: Links) -> None:
    for upper, lower in reversed(links):
        values[lower] = min(values[lower], values[upper])


def _monotone(wanted: np.ndarray, fallen: np.ndarray, links: Links, ends: Ends) -> np.ndarray:
    """Between the least levels above what is wanted and the greatest below it, and nowhere above a lake upstream."""
    carved, most = np.maximum(wanted, ends.bottom_m).tolist(), [np.inf] * len(wanted)
    for section, level in ends.sources_m.items():
        carved[section] = most[section] = level - float(fallen[section])
    filled = list(carved)
    _carve(carved, links)
    _carve(most, links)
    _fill(filled, links)
    return CUT_SHARE * np.array(carved) + (1.0 - CUT_SHARE) * np.minimum(filled, most)


def _soft(values: list[float], links: Links, bottom_m: float) -> list[float]:
    """Averaged over what is downstream, with the level at the mouth beyond it: no steps, there or at a place where rivers meet."""
    share = SECTION_PX / SOFT_PX
    made = [value if bottom_m == -np.inf else bottom_m + share * (value - bottom_m) for value in values]
    for upper, lower in links:
        made[upper] = made[lower] + share * (values[upper] - made[lower])
    return made


def _limited(values: list[float], links: Links, bottom_m: float, most: float) -> list[float]:
    """Lowered where they rise by more than this over a section."""
    made = [value if bottom_m == -np.inf else min(value, bottom_m + most) for value in values]
    for upper, lower in links:
        made[upper] = min(values[upper], made[lower] + most)
    return made


def _come_down(values: list[float], below: list[int], source: int, ends: Ends, most: float) -> None:
    """Raise a river near the lake that it leaves, up to the lake's level."""
    source_m, path = ends.sources_m[source], [source]
    while below[path[-1]] >= 0 and (
        len(path) * SECTION_PX < RAPIDS_PX or source_m - values[below[path[-1]]] > most * len(path)
    ):
        path.append(below[path[-1]])
    end_m = values[below[path[-1]]] if below[path[-1]] >= 0 else ends.bottom_m
    end_m = values[path[-1]] if end_m == -np.inf else end_m
    for number, section in enumerate(path):
        values[section] = max(values[section], source_m + (end_m - source_m) * number / len(path))


def _on_pixels(level: np.ndarray, course: Course, bottom_m: float) -> np.ndarray:
    """From the lower end of a section, the level of the one below it, to its upper end."""
    base = np.where(course.below >= 0, level[course.below], level if bottom_m == -np.inf else bottom_m)
    along = course.way / SECTION_PX - course.step[course.section]
    return base[course.section] + (level - base)[course.section] * along
