"""The parts of a photograph where nobody has drawn them: small cells of one colour grow together, those that differ least first,
until as many regions are left as were asked for.

What differs is colour (Oklab, Ottosson 2020) and how rough it is; a border counts by the edge that lies on it. Computed on a
reduced picture; the full one decides where its borders run. Every step is in a fixed order, so that a picture always has the same
regions. NumPy and SciPy; knows no job and no file.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from backend.algorithms.painting.region_merging import merged

MOST = 255
WORKED_PX = 480  # longer side at which cells are made
CELL_PX = 8.0  # between the centres of cells, there
COMPACTNESS = 0.1  # difference of colour that counts as much as the distance between centres
TURNS = 6
CRUMB_PX = 12  # pixels of a cell at least
SMOOTH_PX = 1.2
CHROMA = 1.8  # weight of a and b beside lightness: parts differ in hue more than in shade
STRAIGHT_PX = 1.5  # how far a border's wiggles are smoothed out
REFINED = 1.5  # cells of the reduced picture beside each border that the full picture decides about


def regions(image: np.ndarray, count: int) -> np.ndarray:
    """The regions of an image [H, W, 3] in linear RGB: uint8 [H, W], the largest 0; `count` of them, 1 to 255, or fewer where the
    picture has no more cells."""
    height, width = image.shape[:2]
    factor = max(1, -(-max(height, width) // WORKED_PX))
    small = block_means(image, factor)
    colors = _colors(small)
    edges = _edges(colors)
    cells = _cells(colors)
    labels = _straightened(merged(cells, colors, edges, min(count, MOST)))
    labels = labels if factor == 1 else _refined(image, labels, factor)
    return _by_size(labels)


def block_means(image: np.ndarray, factor: int) -> np.ndarray:
    """[H, W, C] float32 as means over blocks; those at the end are smaller."""
    if factor == 1:
        return np.asarray(image, np.float32)
    rows, columns = (np.arange(0, side, factor) for side in image.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, axis=0), columns, axis=1)
    lengths = [np.diff([*starts, side]) for starts, side in zip((rows, columns), image.shape[:2], strict=True)]
    return (sums / (lengths[0][:, None] * lengths[1])[..., None]).astype(np.float32)


def oklab(linear: np.ndarray) -> np.ndarray:
    """Lightness, green to red, blue to yellow [..., 3] of linear RGB (Ottosson 2020, "A perceptual color space")."""
    to_cones = np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    )  # fmt: skip
    to_lab = np.array(
        [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]
    )  # fmt: skip
    return np.einsum("...i,ji", np.cbrt(np.einsum("...i,ji", np.clip(linear, 0.0, None), to_cones)), to_lab)


def _colors(image: np.ndarray) -> np.ndarray:
    """Oklab [H, W, 3], float64, with hue counting for more."""
    return oklab(image.astype(np.float64)) * [1.0, CHROMA, CHROMA]


def _edges(colors: np.ndarray) -> np.ndarray:
    """Strength of the edge at each pixel [H, W]: the smoothed colours' gradients together."""
    smooth = _smooth(colors)
    slopes = [np.gradient(smooth, axis=axis) for axis in (0, 1) if colors.shape[axis] > 1]
    return np.sqrt(np.square(slopes).sum(axis=(0, 3))) if slopes else np.zeros(colors.shape[:2])


def _smooth(colors: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(colors, (SMOOTH_PX, SMOOTH_PX, 0.0))


def _cells(colors: np.ndarray) -> np.ndarray:
    """Labels [H, W] from 0 on: pixels to the nearest of the centres around them in place and colour, and centres to the mean of
    their pixels, in turns (SLIC, Achanta et al. 2012)."""
    height, width = colors.shape[:2]
    rows, columns = (max(1, round(side / CELL_PX)) for side in (height, width))
    row, column = np.mgrid[0:height, 0:width]
    block = (np.minimum(row * rows // height, rows - 1), np.minimum(column * columns // width, columns - 1))
    labels = block[0] * columns + block[1]
    stacked = np.dstack([colors / COMPACTNESS, row / CELL_PX, column / CELL_PX]).astype(np.float32)
    for _ in range(TURNS):
        centres = _means(labels, stacked, rows * columns)
        nearest = np.full((height, width), np.inf, np.float32)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                other = (np.clip(block[0] + down, 0, rows - 1), np.clip(block[1] + right, 0, columns - 1))
                candidate = other[0] * columns + other[1]
                apart = np.square(stacked - centres[candidate]).sum(axis=2)
                closer = apart < nearest
                labels = np.where(closer, candidate, labels)
                nearest = np.where(closer, apart, nearest)
    return _touching(_without_crumbs(_touching(labels)))


def _without_crumbs(parts: np.ndarray) -> np.ndarray:
    """Parts of less than CRUMB_PX pixels given to the nearest larger one."""
    crumbs = np.bincount(parts.ravel())[parts] < CRUMB_PX
    if crumbs.all() or not crumbs.any():
        return parts
    nearest = ndimage.distance_transform_edt(crumbs, return_distances=False, return_indices=True)
    return parts[tuple(np.asarray(nearest))]


def _means(labels: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """[count, C] float32; of a label that is nowhere, far from everything."""
    sizes = np.bincount(labels.ravel(), minlength=count)
    sums = [np.bincount(labels.ravel(), values[..., band].ravel(), count) for band in range(values.shape[2])]
    means = np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]
    return np.where(sizes[:, None] > 0, means, 1e9).astype(np.float32)


def _touching(labels: np.ndarray) -> np.ndarray:
    """Numbers from 0 on for the connected parts of each label."""
    numbers = np.arange(labels.size).reshape(labels.shape)
    pairs = [(numbers[1:], numbers[:-1], labels[1:] == labels[:-1]),
             (numbers[:, 1:], numbers[:, :-1], labels[:, 1:] == labels[:, :-1])]  # fmt: skip
    first, second = (np.concatenate([pair[at][pair[2]] for pair in pairs]) for at in (0, 1))
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(labels.size, labels.size))
    return connected_components(graph, directed=False)[1].reshape(labels.shape)


def _straightened(labels: np.ndarray) -> np.ndarray:
    """Each pixel to the region that has most of its surroundings: where a picture is flat, the borders of cells wander."""
    best, found = np.zeros(labels.shape, np.float32), labels.copy()
    reach = round(4 * STRAIGHT_PX)
    for label, place in enumerate(ndimage.find_objects(labels + 1)):
        if place is None:
            continue
        around = tuple(slice(max(one.start - reach, 0), one.stop + reach) for one in place)
        share = ndimage.gaussian_filter((labels[around] == label).astype(np.float32), STRAIGHT_PX)
        better = share > best[around]
        found[around][better] = label
        best[around][better] = share[better]
    return found


def _refined(image: np.ndarray, labels: np.ndarray, factor: int) -> np.ndarray:
    """Labels at full size. What is near a border goes to the region that it is linked to by the least steps of colour: a minimum
    spanning forest, which is a watershed (Cousty et al. 2009, "Watershed cuts")."""
    height, width = image.shape[:2]
    large = labels.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]
    reach = 2 * round(REFINED * factor) + 1
    open_ = ndimage.minimum_filter(large, reach) != ndimage.maximum_filter(large, reach)
    lost = np.setdiff1d(np.unique(large), np.unique(large[~open_]))
    open_ &= ~np.isin(large, lost)  # a region that is all border stays as it is
    regions_, places = int(large.max()) + 1, int(np.count_nonzero(open_))
    numbers = large.astype(np.int64)
    numbers[open_] = regions_ + np.arange(places)
    first, second, steps = _steps(numbers, _smooth(_colors(image)), regions_)
    root = regions_ + places
    first = np.concatenate([first, np.arange(regions_)])
    second = np.concatenate([second, np.full(regions_, root)])
    weights = np.concatenate([steps + 1e-6, np.full(regions_, 1e-9)])  # 0 would be no link
    forest = minimum_spanning_tree(coo_array((weights, (first, second)), shape=(root + 1, root + 1)).tocsr()).tocoo()
    kept = (forest.row != root) & (forest.col != root)
    links = coo_array((forest.data[kept], (forest.row[kept], forest.col[kept])), shape=forest.shape)
    tree = connected_components(links, directed=False)[1]
    owner = np.empty(int(tree.max()) + 1, np.int64)
    owner[tree[:regions_]] = np.arange(regions_)
    return owner[tree[numbers]]


def _steps(numbers: np.ndarray, colors: np.ndarray, regions_: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The links between neighbouring pixels of two numbers, the least step of colour where there are several."""
    lower, upper, steps = [], [], []
    for number, color in ((numbers, colors), (numbers.T, colors.swapaxes(0, 1))):
        linked = (number[1:] != number[:-1]) & (np.maximum(number[1:], number[:-1]) >= regions_)
        lower.append(np.minimum(number[1:], number[:-1])[linked])
        upper.append(np.maximum(number[1:], number[:-1])[linked])
        steps.append(np.sqrt(np.square(color[1:] - color[:-1]).sum(axis=2))[linked])
    first, second, least = (np.concatenate(parts) for parts in (lower, upper, steps))
    order = np.lexsort((least, second, first))
    first, second, least = first[order], second[order], least[order]
    new = np.ones(len(first), bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return first[new], second[new], least[new]


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Numbered from the largest region, 0, on; of two of one size the one that begins higher up comes first."""
    _, places, numbers, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((places, -counts))
    rank = np.empty(len(order), np.uint8)
    rank[order] = np.arange(len(order))
    return rank[numbers].reshape(labels.shape)
