"""The course of a river that was painted: its pixels by their way to its mouth, as a tree of cross-sections.

A section is what lies equally far from the mouth, on one branch: its water is level. Knows no heights but those it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.sparse import csgraph, csr_array

SECTION_PX = (
    1.5  # along the river; more than a diagonal step, so that neighbours are in one section or in successive ones
)


@dataclass(frozen=True)
class Pixels:
    """A river's pixels: row, column [N] in a window of the map, and pairs of neighbours [E, 2] of them with their distance [E]."""

    row: np.ndarray
    column: np.ndarray
    pairs: np.ndarray
    length: np.ndarray

    @property
    def count(self) -> int:
        return len(self.row)

    @cached_property
    def graph(self) -> csr_array:
        """Of all pairs, in both directions."""
        return self.part(np.ones(len(self.pairs), bool))

    def part(self, chosen: np.ndarray) -> csr_array:
        """Of some of the pairs, bool [E]."""
        pairs, length = self.pairs[chosen], self.length[chosen]
        both = np.concatenate([pairs, pairs[:, ::-1]])
        return csr_array((np.tile(length, 2), (both[:, 0], both[:, 1])), shape=(self.count, self.count))


@dataclass(frozen=True)
class Course:
    """way [N]: pixels to the mouth along the river. section [N]: the number of each pixel's section; step [S]: how many sections
    lie between it and the mouth, in rising order.

    below [S]: the section that a section flows to, -1 at the mouth. Arms around an island count as one: they fall alike.
    """

    way: np.ndarray
    section: np.ndarray
    step: np.ndarray
    below: np.ndarray

    def upper_way(self) -> np.ndarray:
        """The way from the upper end of each section to the mouth [S], pixels."""
        return (self.step + 1.0) * SECTION_PX


def pixels_of(river: np.ndarray) -> Pixels:
    """Of a mask bool [h, w]."""
    row, column = np.nonzero(river)
    number = np.full((river.shape[0] + 2, river.shape[1] + 2), -1, np.int64)
    number[row + 1, column + 1] = np.arange(len(row))
    pairs, length = [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = number[row + 1 + down, column + 1 + across]
        has = np.flatnonzero(other >= 0)
        pairs.append(np.stack([has, other[has]], axis=1))
        length.append(np.full(len(has), np.hypot(down, across)))
    return Pixels(row, column, np.concatenate(pairs), np.concatenate(length))


def steps_from(pixels: Pixels, start: int) -> np.ndarray:
    """Steps [N] from one pixel along the river."""
    return np.asarray(csgraph.dijkstra(pixels.graph, indices=start, unweighted=True)).astype(np.int64)


def ends(pixels: Pixels, width_px: float) -> list[int]:
    """The two pixels farthest from each other; none where the river is a ring."""
    first = int(steps_from(pixels, 0).argmax())
    steps = steps_from(pixels, first)
    last = int(steps.argmax())
    near = np.flatnonzero(steps == int(2.0 * width_px) + 2)
    place = np.zeros((int(pixels.row.max()) + 1, int(pixels.column.max()) + 1), bool)
    place[pixels.row[near], pixels.column[near]] = True
    _, branches = ndimage.label(place, np.ones((3, 3), int))  # pyright: ignore[reportGeneralTypeIssues]
    return [first, last] if branches <= 1 else []


def course(pixels: Pixels, mouth: np.ndarray) -> Course:
    """The way of all pixels to the nearest of these [M]."""
    way = np.asarray(csgraph.dijkstra(pixels.graph, indices=mouth, min_only=True))
    step = np.floor(way / SECTION_PX).astype(np.int64)
    one, other = pixels.pairs.T
    _, section = csgraph.connected_components(pixels.part(step[one] == step[other]), directed=False)
    step_of = np.zeros(int(section.max()) + 1, np.int64)
    step_of[section] = step
    section, step_of = _in_order(section, step_of)
    upper, lower = np.where(step[one] > step[other], (one, other), (other, one))
    crosses = step[one] != step[other]
    keys = np.unique(section[upper[crosses]] * len(step_of) + section[lower[crosses]])
    links = np.stack(np.divmod(keys, len(step_of)), axis=1)
    if (links[1:, 0] == links[:-1, 0]).any():
        same = _joined(links, len(step_of))
        number = np.unique(same, return_inverse=True)[1]
        section, step_of, links = number[section], step_of[np.unique(same)], number[links]
    below = np.full(len(step_of), -1, np.int64)
    below[links[:, 0]] = links[:, 1]
    return Course(way, section, step_of, below)


def _in_order(section: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sections numbered by their steps from the mouth."""
    order = np.argsort(step, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return number[section], step[order]


def _joined(links: np.ndarray, count: int) -> np.ndarray:
    """For each section the first of those that count as one with it [S]: all to which one section flows. links: sorted."""
    same = list(range(count))

    def first(section: int) -> int:
        while same[section] != section:
            same[section] = same[same[section]]
            section = same[section]
        return section

    lower_of: dict[int, int] = {}
    for upper, lower in reversed(links.tolist()):  # from the top: what lies above a section has been joined before
        below = first(lower_of.setdefault(first(upper), lower))
        other = first(lower)
        same[max(below, other)] = min(below, other)
    return np.array([first(section) for section in range(count)])
