"""Kinds of ground in a sample of pixels, found without a teacher: a non-linear reduction of their features, clusters in it, and a
classifier that gives every other pixel its cluster.

Sources: Belkin and Niyogi (2003) for the reduction, Zelnik-Manor and Perona (2004) for the scale of its neighbourhoods, Ng, Jordan
and Weiss (2002) for clustering in it. The same sample and seed give the same clusters.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.cluster.vq import kmeans2
from scipy.sparse.linalg import eigsh
from scipy.spatial import KDTree
from torch import Tensor, nn

from backend.ops.adam import Adam

NEIGHBOURS = 12
RESTARTS = 8
HIDDEN = 48
STEPS = 300
RATE = 0.01
MOST_SAMPLES = 4000  # of which the neighbourhoods are built; more would not change the clusters


class Clusters:
    """Fitted on a sample of features [N, n]; cluster numbers are 0 to count - 1, the largest cluster first."""

    def __init__(self, sample: np.ndarray, count: int, seed: int) -> None:
        rng = np.random.Generator(np.random.PCG64(seed))
        self._middle = np.median(sample, axis=0)
        spread = np.subtract(*np.percentile(sample, (84, 16), axis=0)) / 2.0
        self._spread = np.maximum(spread, 1e-6)
        scaled = self._scaled(sample)
        chosen = rng.permutation(len(scaled))[:MOST_SAMPLES]
        embedded = embedding(scaled[chosen], count)
        numbers = _by_size(_clustered(embedded, count, rng))
        self._network = _classifier(scaled[chosen], numbers, count, seed)
        self.count = count

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        """Features of comparable size; outliers are held in."""
        return np.clip((values - self._middle) / self._spread, -4.0, 4.0).astype(np.float32)

    @torch.no_grad()
    def of(self, features: Tensor) -> np.ndarray:
        """The cluster of each pixel, uint8 [H, W], of features [n, H, W]."""
        rows = features.flatten(1).T.numpy()
        return self._network(torch.from_numpy(self._scaled(rows))).argmax(1).reshape(features.shape[1:]).byte().numpy()


def embedding(points: np.ndarray, dimensions: int) -> np.ndarray:
    """Laplacian eigenmaps [N, dimensions] of points [N, n]: near is what many short steps join. Rows have length 1."""
    tree = KDTree(points)
    distances, others = (np.asarray(part)[:, 1:] for part in tree.query(points, NEIGHBOURS + 1))
    scale = np.maximum(distances[:, NEIGHBOURS // 2], 1e-6)
    weights = np.exp(-(distances**2) / (scale[:, None] * scale[others]))
    rows = np.repeat(np.arange(len(points)), NEIGHBOURS)
    graph = sparse.csr_matrix((weights.ravel(), (rows, others.ravel())), shape=(len(points), len(points)))
    graph = graph.maximum(graph.T)
    root = 1.0 / np.sqrt(np.asarray(graph.sum(1)).ravel() + 1e-12)
    normalised = sparse.diags(root) @ graph @ sparse.diags(root)
    start = np.ones(len(points)) / np.sqrt(len(points))
    _, vectors = eigsh(normalised, k=min(dimensions, len(points) - 2), which="LA", v0=start)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _clustered(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The best of several k-means."""
    best, smallest = np.zeros(len(points), np.int64), np.inf
    for _ in range(RESTARTS):
        centres, numbers = kmeans2(points, count, minit="++", rng=rng, missing="warn", iter=40)
        error = float(np.square(points - centres[numbers]).sum())
        if error < smallest:
            best, smallest = numbers.astype(np.int64), error
    return best


def _by_size(numbers: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from the largest to the smallest."""
    order = np.argsort(-np.bincount(numbers), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[numbers]


def _classifier(points: np.ndarray, numbers: np.ndarray, count: int, seed: int) -> nn.Module:
    """A network of two layers that tells clusters apart."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(points.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, count))
    for layer in (network[0], network[2]):
        assert isinstance(layer, nn.Linear)
        bound = (6.0 / sum(layer.weight.shape)) ** 0.5
        layer.weight.data = (torch.rand(layer.weight.shape, generator=generator) * 2.0 - 1.0) * bound
        layer.bias.data.zero_()
    values, targets = torch.from_numpy(points), torch.from_numpy(numbers)
    weights = list(network.parameters())
    adam = Adam(weights)
    for _ in range(STEPS):
        gradients = torch.autograd.grad(F.cross_entropy(network(values), targets), weights)
        adam.step(weights, [-gradient for gradient in gradients], RATE)
    return network.eval()
