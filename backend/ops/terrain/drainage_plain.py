"""The drainage tree of a height grid without a compiler, on the host: see backend.ops.terrain.drainage.

The tree is grown by one heap over the whole map, whose order decides every parent; no form of it that goes over all cells at
once gives the same tree. So that part is a Python loop, for machines without a working numba; the heights are settled level
by level.
"""

from __future__ import annotations

import heapq

import numpy as np
import torch
from torch import Tensor

from backend.ops.terrain import forest

INDEX_MASK = 0xFFFFFFFF


def order_keys(height: np.ndarray) -> np.ndarray:
    """int64 [H, W] whose upper 32 bits sort as the float32 heights do and whose lower 32 are the cell index."""
    bits = height.view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return (bits << 32) | np.arange(height.size).reshape(height.shape)


def drainage_tree(height: np.ndarray, outlets: np.ndarray) -> np.ndarray:
    """The receiver [N] int64 of each cell of a map [H, W] float32; cells on the edge and outlets (bool [H, W]) are their own."""
    rows, columns = height.shape
    wide = columns + 2  # a frame round the map that nothing enters spares the loop a test; indices sort alike with it
    keys = np.full((rows + 2, wide), 0, np.int64)
    place = np.arange((rows + 2) * wide).reshape(rows + 2, wide)
    keys[1:-1, 1:-1] = (order_keys(height) & ~INDEX_MASK) | place[1:-1, 1:-1]
    inside = np.zeros((rows + 2, wide), bool)
    inside[2:-2, 2:-2] = ~outlets[1:-1, 1:-1]
    frame = np.ones((rows + 2, wide), bool)
    frame[1:-1, 1:-1] = False
    heap = keys[~inside & ~frame].tolist()
    heapq.heapify(heap)
    key_of, unseen = keys.ravel().tolist(), inside.ravel().tolist()
    parent = place.ravel().tolist()
    around = (-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1)
    while heap:
        cell = heapq.heappop(heap) & INDEX_MASK
        for step in around:
            other = cell + step
            if unseen[other]:
                unseen[other] = False
                parent[other] = cell
                heapq.heappush(heap, key_of[other])
    framed = np.array(parent).reshape(rows + 2, wide)[1:-1, 1:-1]
    return ((framed // wide - 1) * columns + framed % wide - 1).ravel()


def settle(height: Tensor, receiver: Tensor, outlets: Tensor, cut_share: float, drop: float) -> Tensor:
    """(1 - cut_share) * (least surface above) + cut_share * (greatest surface below) that falls by drop to each receiver.

    height float32 [N], receiver int64 [N], outlets bool [N]; returns the new heights.
    """
    filled, carved = height.clone(), height.clone()
    levels = forest.levels(receiver)
    for cells in levels[1:]:
        filled[cells] = torch.maximum(filled[cells], filled[receiver[cells]] + drop)
    for cells in reversed(levels[1:]):
        carved.scatter_reduce_(0, receiver[cells], carved[cells] - drop, "amin")
    if outlets.any():  # which no cut lowers
        carved = torch.where(outlets, height, carved)
        for cells in levels[1:]:
            carved[cells] = torch.maximum(carved[cells], carved[receiver[cells]] + drop)
    return filled + cut_share * (carved - filled)
