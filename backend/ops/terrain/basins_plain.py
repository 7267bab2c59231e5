"""The closed basins of a flow network with plain torch operations on any device: the same codes as basins_cpu, to the bit.

Every pass between two basins has one rank among all (height, cell, other basin, and fastscapelib's choice between neighbours
in that basin), so the minimum spanning tree is unique and Boruvka's rounds find it whatever their order. Rounds and levels ask
the host whether they were the last; nothing loops over cells or basins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.terrain import forest, grid
from backend.ops.terrain.constants import NO_RECEIVER

RING = (0, 1, 2, 4, 7, 6, 5, 3)  # direction codes in the order round the ring: neighbouring bits are neighbouring cells


@dataclass(frozen=True)
class Parts:
    """What a device may have kernels for: see the functions of these names here."""

    pass_ways: Callable[[Tensor, Tensor], Tensor]
    comes_first: Callable[[Tensor, Tensor, list[Tensor], Tensor], Tensor]
    outwards: Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def lead_out(height: Tensor, codes: Tensor, parts: Parts | None = None) -> tuple[Tensor, int]:
    """Codes [H, W] whose pits drain over their lowest passes, and how many pits there were: see basins.lead_out."""
    parts = parts or Parts(pass_ways, comes_first, outwards)
    receiver = grid.receivers(codes)
    ahead = forest.jumps(receiver)
    labels, pits = basin_labels(codes, ahead[-1])
    if not pits:
        return codes, 0
    cell, neighbour = pass_edges(height + 0.0, labels, ahead, parts)  # + 0.0: -0.0 and 0.0 are one height
    chosen = spanning_tree(labels[cell], labels[neighbour], pits)
    start, out = parts.outwards(cell[chosen], neighbour[chosen], labels, pits)
    return carve(codes, ahead, start, out), pits


def basin_labels(codes: Tensor, root: Tensor) -> tuple[Tensor, int]:
    """Labels [N] int64: 0 for cells that reach the edge, 1.. for the basins of the pits in row-major order; their number."""
    rows, columns = codes.shape
    edge = grid.edge_mask(rows, columns, codes.device)
    pit = (codes == NO_RECEIVER) & ~edge
    numbers = torch.where(pit, pit.flatten().cumsum(0).reshape(pit.shape), 0).flatten()
    return numbers[root], int(pit.sum())


def pass_edges(height: Tensor, labels: Tensor, ahead: list[Tensor], parts: Parts) -> tuple[Tensor, Tensor]:
    """Candidates for lowest passes, in the order of their rank: the pass cells [E] and their neighbours [E] across."""
    rows, columns = height.shape
    ways = parts.pass_ways(height, labels.reshape(rows, columns))
    cell, code = ways.flatten(1).T.nonzero().unbind(1)  # by cell, then by direction code
    neighbour = cell + grid.offsets(columns, height.device)[code]
    kept = (~_later_twins(cell, neighbour, labels, ahead, parts)).nonzero()[:, 0]
    cell, neighbour = cell[kept], neighbour[kept]
    order = torch.arange(len(cell), device=cell.device)
    for key in (labels[neighbour], cell, height.flatten()[cell]):  # the last sort counts most
        order = order[key[order].argsort(stable=True)]
    return cell[order], neighbour[order]


def pass_ways(height: Tensor, label: Tensor) -> Tensor:
    """[8, H, W] bool, by direction code: the neighbours over which water may leave the cell's basin.

    Such a neighbour lies in another basin and no higher. It is struck out if a cell of the own basin that is lower touches
    it too, for then the two basins meet lower there: see basins_cpu._pass_bits.
    """
    rows, columns = height.shape
    wide_height = torch.full((rows + 2, columns + 2), torch.inf, device=height.device, dtype=height.dtype)
    wide_height[1:-1, 1:-1] = height
    wide_label = torch.zeros(rows + 2, columns + 2, device=height.device, dtype=label.dtype)
    wide_label[1:-1, 1:-1] = label
    across, level, lower = [], [], []
    for code in RING:
        near, there = grid.inner(wide_height, code), grid.inner(wide_label, code)
        across.append((near <= height) & (there != label))
        level.append(across[-1] & (near == height))
        lower.append((near < height) & (there == label))
    ways = [torch.empty(0)] * 8
    for ring, code in enumerate(RING):
        touched = lower[ring - 1] | lower[(ring + 1) % 8]
        for apart in (-2, 2):  # cells above, right, below and left of the centre also touch each other
            if (ring + apart) % 2:
                touched = touched | lower[(ring + apart) % 8]
        ways[code] = across[ring] & (~touched | level[ring])
    return torch.stack(ways)


def _later_twins(cell: Tensor, neighbour: Tensor, labels: Tensor, ahead: list[Tensor], parts: Parts) -> Tensor:
    """Which candidates [E] lead from a cell into a basin into which another of its candidates leads that comes before them.

    Candidates are given by cell and then by code. Between two of one cell and one basin the first by code is taken if the
    own basin has the lower number (or the other is the outside), else the first in depth-first order.
    """
    pairs = torch.stack([_twins(cell, labels[neighbour], apart) for apart in range(1, 8)])
    apart, first = pairs.nonzero().unbind(1)
    second = first + apart + 1
    own, other = labels[cell[first]], labels[neighbour[first]]
    by_code = (other == 0) | ((own > 0) & (own < other))
    depth = forest.depths(ahead[0], ahead)
    swapped = ~by_code & parts.comes_first(neighbour[second], neighbour[first], ahead, depth)
    later = torch.zeros(len(cell), dtype=torch.bool, device=cell.device)
    return later.index_fill_(0, torch.where(swapped, first, second), True)


def _twins(cell: Tensor, other: Tensor, apart: int) -> Tensor:
    """Which candidates [E] and those so many places later are of one cell and lead into one basin."""
    count = max(len(cell) - apart, 0)
    same = (cell[:count] == cell[apart:]) & (other[:count] == other[apart:])
    return torch.nn.functional.pad(same, (0, len(cell) - count))


def comes_first(a: Tensor, b: Tensor, ahead: list[Tensor], depth: Tensor) -> Tensor:
    """Whether `a` precedes `b` in fastscapelib's depth-first order of their common basin, pair by pair.

    A cell's donors are all listed before their own donors, and of the donors the last listed is visited first: see
    basins_cpu._comes_first. ahead, depth: see forest.
    """
    x, y = a, b
    for power in reversed(range(len(ahead))):  # climb the deeper one to the depth of the other
        x = torch.where(depth[x] - depth[y] >= 1 << power, ahead[power][x], x)
        y = torch.where(depth[y] - depth[x] >= 1 << power, ahead[power][y], y)
    one_line = x == y
    for power in reversed(range(len(ahead))):  # then both, as long as they do not meet
        apart = ahead[power][x] != ahead[power][y]
        x, y = torch.where(apart, ahead[power][x], x), torch.where(apart, ahead[power][y], y)
    above_a, above_b = depth[a] - depth[x], depth[b] - depth[y]
    near = torch.where(above_a == above_b, x < y, above_a == 0)
    fork = torch.where((above_a == 0) | (above_b == 0), near, x > y)
    return torch.where(one_line, depth[a] < depth[b], fork)


def spanning_tree(a: Tensor, b: Tensor, basins: int) -> Tensor:
    """Positions [B] of the edges of the minimum spanning tree of basins 0..basins; edges (a, b) are given by rank."""
    count = len(a)
    group = torch.arange(basins + 1, device=a.device)
    here, rank = group.clone(), torch.arange(count, device=a.device)
    taken = torch.zeros(count + 1, dtype=torch.bool, device=a.device)
    while True:
        of_a, of_b = group[a], group[b]
        price = torch.where(of_a != of_b, rank, count)
        best = (
            torch.full_like(here, count).scatter_reduce(0, of_a, price, "amin").scatter_reduce(0, of_b, price, "amin")
        )
        if not bool((best < count).any()):
            return taken[:count].nonzero()[:, 0]
        taken[best] = True
        edge = best.clamp_max(count - 1)
        towards = torch.where(best < count, torch.where(of_a[edge] == here, of_b[edge], of_a[edge]), here)
        mutual = (towards[towards] == here) & (here < towards)  # two groups that take one edge: the lower one leads
        group = forest.roots(torch.where(mutual, here, towards))[group]


def carve(codes: Tensor, ahead: list[Tensor], start: Tensor, out: Tensor) -> Tensor:
    """Codes with the flow from each basin's pass to its pit turned round, so that the pit drains over the pass.

    ahead: forest.jumps of the codes' receivers. start, out: see outwards().
    """
    columns, count = codes.shape[1], codes.numel()
    on_way = torch.zeros(count, dtype=torch.int64, device=codes.device).index_fill_(0, start, 1)
    for further in ahead:
        on_way = torch.maximum(on_way, torch.zeros_like(on_way).scatter_reduce_(0, further, on_way, "amax"))
    flat = codes.flatten()
    turned = (on_way > 0) & (flat != NO_RECEIVER)
    made = torch.cat([flat, flat.new_zeros(1)])
    made = made.scatter(0, torch.where(turned, ahead[0], count), 7 - flat)[:count]
    return made.scatter(0, start, grid.codes_of(out - start, columns)).reshape(codes.shape)


def outwards(cell: Tensor, neighbour: Tensor, labels: Tensor, pits: int) -> tuple[Tensor, Tensor]:
    """The two cells [B] of each edge of the spanning tree: that in the basin which leaves over it, and that on the way out."""
    known = torch.zeros(pits + 1, dtype=torch.bool, device=cell.device)
    known[0] = True
    start, out = cell, neighbour
    of_cell, of_neighbour = labels[cell], labels[neighbour]
    while True:  # from the outside inwards, one generation of basins a round
        for _ in range(2 * forest.ROUNDS):
            from_cell, from_neighbour = known[of_cell], known[of_neighbour]
            turn = from_cell & ~from_neighbour
            start, out = torch.where(turn, neighbour, start), torch.where(turn, cell, out)
            reached = torch.where(from_cell, of_neighbour, torch.where(from_neighbour, of_cell, 0))
            known = known.index_fill(0, reached, True)
        if not bool((known[of_cell] ^ known[of_neighbour]).any()):
            return start, out
