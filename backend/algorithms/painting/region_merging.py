"""Cells of a picture grow together, those that differ least first.

The cost of joining two regions is Ward's, what it adds to the variance, so that a small patch joins its surroundings sooner than
two large parts join each other; an edge on their border makes it dearer. NumPy and a heap; equal costs are taken in the regions'
order.
"""

from __future__ import annotations

import heapq

import numpy as np

ROUGHNESS = 1.0  # weight of how much lightness varies within a cell, beside colour
EDGE = 12.0  # how much an edge on their border keeps regions apart


def merged(cells: np.ndarray, colors: np.ndarray, edges: np.ndarray, count: int) -> np.ndarray:
    """Labels [H, W] of the regions that cells [H, W] grow into: `count` of them, or as many as do not touch.

    colors: [H, W, 3], lightness first. edges: strength of the edge at each pixel [H, W].
    """
    graph = Graph(cells, colors, edges)
    while graph.alive > count and graph.merge_next():
        pass
    return graph.roots()[cells]


class Graph:
    """Regions, their neighbours, and what it costs to join two of them."""

    def __init__(self, cells: np.ndarray, colors: np.ndarray, edges: np.ndarray) -> None:
        number = int(cells.max()) + 1
        self.sizes = np.bincount(cells.ravel(), minlength=number).astype(np.float64)
        sums = [np.bincount(cells.ravel(), colors[..., band].ravel(), number) for band in range(3)]
        squares = np.bincount(cells.ravel(), colors[..., 0].ravel() ** 2, number)
        means = sums[0] / np.maximum(self.sizes, 1.0)
        deviations = np.sqrt(np.maximum(squares / np.maximum(self.sizes, 1.0) - means**2, 0.0))
        self.sums = np.stack([*sums, ROUGHNESS * deviations * self.sizes], axis=1)
        self.scale = max(float(np.quantile(edges, 0.9)), 1e-6)
        self.parents = np.arange(number)
        self.alive = int(np.count_nonzero(self.sizes))
        self.borders: list[dict[int, tuple[float, float]]] = [{} for _ in range(number)]  # neighbour: (length, edge)
        for (first, second), border in borders_of(cells, edges).items():
            self.borders[first][second] = self.borders[second][first] = border
        self.ages = np.zeros(number, int)
        self.queue = [
            (self._cost(first, second), first, second, 0, 0)
            for first in range(number)
            for second in self.borders[first]
            if first < second
        ]
        heapq.heapify(self.queue)

    def merge_next(self) -> bool:
        """Join the two regions that differ least; False where no two are left that touch."""
        while self.queue:
            _, first, second, age, other = heapq.heappop(self.queue)
            if self.ages[first] == age and self.ages[second] == other:
                self._join(first, second)
                return True
        return False

    def roots(self) -> np.ndarray:
        """The region of each cell."""
        found = self.parents
        while not np.array_equal(found, found[found]):
            found = found[found]
        return found

    def _join(self, first: int, second: int) -> None:
        self.parents[second] = first
        self.sizes[first] += self.sizes[second]
        self.sums[first] += self.sums[second]
        self.ages[first] += 1
        self.ages[second] = -1
        self.alive -= 1
        for other, (length, edge) in self.borders[second].items():
            del self.borders[other][second]
            if other != first:
                before = self.borders[first].get(other, (0.0, 0.0))
                self.borders[first][other] = self.borders[other][first] = (before[0] + length, before[1] + edge)
        self.borders[second] = {}
        for other in self.borders[first]:
            entry = (self._cost(first, other), first, other, int(self.ages[first]), int(self.ages[other]))
            heapq.heappush(self.queue, entry)

    def _cost(self, first: int, second: int) -> float:
        size, other = self.sizes[first], self.sizes[second]
        apart = self.sums[first] / size - self.sums[second] / other
        length, edge = self.borders[first][second]
        return float(size * other / (size + other) * (apart @ apart) * (1.0 + EDGE * edge / (length * self.scale)))


def borders_of(cells: np.ndarray, edges: np.ndarray) -> dict[tuple[int, int], tuple[float, float]]:
    """Length in pixels and sum of the edges' strength on the border of each two cells that touch, the lower number first."""
    lower, upper, strength = [], [], []
    for number, edge in ((cells, edges), (cells.T, edges.T)):
        across = number[1:] != number[:-1]
        lower.append(np.minimum(number[1:], number[:-1])[across])
        upper.append(np.maximum(number[1:], number[:-1])[across])
        strength.append(np.maximum(edge[1:], edge[:-1])[across])
    low, high, strong = (np.concatenate(parts) for parts in (lower, upper, strength))
    number = int(cells.max()) + 1
    pairs, places = np.unique(low.astype(np.int64) * number + high, return_inverse=True)
    lengths, sums = np.bincount(places), np.bincount(places, strong)
    return {
        (int(pair // number), int(pair % number)): (float(length), float(total))
        for pair, length, total in zip(pairs, lengths, sums, strict=True)
    }
