"""Patch match: found matches against a search of all patches, the vote against a written-out sum, labels, threads, and the
plain form on every device against the kernel."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED
from backend.ops.patches import patch_match as pm

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KERNELS_ON = "cpu" if SIMULATED else "cuda"


def terrain(rows: int, columns: int, seed: int, sigma: float = 2.0) -> Tensor:
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((rows, columns)), sigma)
    return torch.from_numpy(np.ascontiguousarray(values / values.std(), np.float32))


def labels_of(height: Tensor, value: int = 0) -> Tensor:
    return torch.full(height.shape, value, dtype=torch.uint8)


def random_field(height: Tensor, atlas: pm.Atlas, labels: Tensor, stride: int = 1) -> pm.Field:
    return pm.Field.random((height.shape[0], height.shape[1]), atlas, labels, stride, np.random.default_rng(5))


def all_patches(values: Tensor) -> np.ndarray:
    """[h, w, 49] float64."""
    windows = np.lib.stride_tricks.sliding_window_view(values.double().numpy(), (7, 7))
    return windows.reshape(*windows.shape[:2], 49)


def distances(height: Tensor, field: pm.Field) -> np.ndarray:
    """The distance [h, w] of each patch and its match, written out from its definition."""
    mine = all_patches(height)[:: field.stride, :: field.stride]
    matched = all_patches(field.atlas.values[0])[field.y.long().numpy(), field.x.long().numpy()]
    return patch_distance(mine, matched)


def patch_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared differences without the mean, and the mean's own share of MEAN_WEIGHT."""
    mean = (a - b).mean(-1)
    return ((a - b - mean[..., None]) ** 2).sum(-1) + pm.MEAN_WEIGHT * 49 * mean**2


def nearest_distances(height: Tensor, atlas: pm.Atlas) -> np.ndarray:
    """The least distance of each patch [h, w] to any of the first group's, by search of them all."""
    first, last, left, right = atlas.zones[0].tolist()
    candidates = all_patches(atlas.values[0])[first : last + 1, left : right + 1].reshape(-1, 49)
    mine = all_patches(height)
    return np.array([[patch_distance(patch, candidates).min() for patch in row] for row in mine])


def test_search_ends_near_the_nearest_of_all_patches_and_never_below() -> None:
    height, atlas = terrain(28, 30, 1), pm.Atlas.of([[terrain(34, 36, 2)]])
    field = random_field(height, atlas, labels_of(height))
    exact = nearest_distances(height, atlas)
    _, found = pm.reconstruct(height, field, sweeps=12, seed=3)
    reached = distances(height, found)
    assert (reached >= exact * (1 - 1e-4) - 1e-6).all()
    assert (reached <= exact * 1.001 + 1e-6).mean() > 0.6
    assert reached.mean() < 1.25 * exact.mean()
    assert reached.mean() < 0.5 * distances(height, field).mean()


def test_a_sweep_makes_no_match_worse() -> None:
    height, atlas = terrain(40, 45, 1), pm.Atlas.of([[terrain(50, 40, 2)]])
    field = random_field(height, atlas, labels_of(height), stride=2)
    for sweep in range(4):
        y, x = pm.improve(height, field, sweep, 2, 10)
        better = replace(field, y=y, x=x)
        assert (distances(height, better) <= distances(height, field) * (1 + 1e-5) + 1e-6).all()
        field = better


def test_a_map_that_is_part_of_the_exemplar_is_found_there() -> None:
    exemplar = terrain(60, 64, 4)
    height = exemplar[10:40, 20:55].contiguous()
    made, field = pm.reconstruct(
        height, random_field(height, pm.Atlas.of([[exemplar]]), labels_of(height)), sweeps=16, seed=0
    )
    rows, columns = torch.meshgrid(torch.arange(24) + 10, torch.arange(29) + 20, indexing="ij")
    assert ((field.y == rows) & (field.x == columns)).float().mean() > 0.99
    torch.testing.assert_close(made, height, rtol=0, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
def test_vote_is_the_weighted_mean_of_the_lifted_matches(stride: int) -> None:
    height, atlas = terrain(23, 26, 1), pm.Atlas.of([[terrain(30, 31, 2)]])
    field = random_field(height, atlas, labels_of(height), stride)
    window = pm.vote_window().double().numpy()
    total, weight = np.zeros(height.shape), np.zeros(height.shape)
    values, z = atlas.values[0].double().numpy(), height.double().numpy()
    for gy in range(field.y.shape[0]):
        for gx in range(field.y.shape[1]):
            at = np.s_[gy * stride : gy * stride + 7, gx * stride : gx * stride + 7]
            y, x = int(field.y[gy, gx]), int(field.x[gy, gx])
            matched = values[y : y + 7, x : x + 7]
            total[at] += window * (matched + (z[at] - matched).mean())
            weight[at] += window
    expected = np.where(weight > 0, total / np.maximum(weight, 1e-30), z)
    for impl in ("cpu", "plain"):
        np.testing.assert_allclose(pm.vote(height, field, impl=impl).numpy(), expected, atol=2e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_a_patch_takes_its_own_groups_exemplars_and_none_across_the_separator(impl: str) -> None:
    height = terrain(40, 50, 1)
    labels = labels_of(height)
    labels[:, 25:] = 1
    atlas = pm.Atlas.of([[terrain(20, 30, 2), terrain(22, 33, 3)], [terrain(30, 26, 4)]])
    made, field = pm.reconstruct(height, random_field(height, atlas, labels), sweeps=6, seed=1, impl=impl)  # type: ignore[arg-type]
    zones = atlas.zones.long()[field.groups.long()]
    assert bool(((field.y >= zones[..., 0]) & (field.y <= zones[..., 1])).all())
    assert bool(((field.x >= zones[..., 2]) & (field.x <= zones[..., 3])).all())
    assert torch.equal(field.groups, labels[3:-3, 3:-3])
    across = (field.y < 20) & (field.y + 7 > 20) & (field.groups == 0)
    assert not bool(across.any())  # row 20 of the atlas lies between the two exemplars of the first group
    assert float(made.abs().max()) < 20.0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("stride", [1, 2])
def test_plain_form_finds_the_matches_of_the_kernel(stride: int, device: str) -> None:
    height = terrain(61, 80, 1)
    labels = labels_of(height)
    labels[:, 40:] = 1
    atlas = pm.Atlas.of([[terrain(40, 50, 2), terrain(45, 60, 3)], [terrain(50, 44, 4)]])
    field = random_field(height, atlas, labels, stride)
    there = pm.Field(
        pm.Atlas(atlas.values.to(device), atlas.zones.to(device)), field.groups.to(device), stride, field.y.to(device),
        field.x.to(device),
    )  # fmt: skip
    made, found = pm.reconstruct(height, field, sweeps=8, seed=3, impl="cpu")
    plain, plain_found = pm.reconstruct(height.to(device), there, sweeps=8, seed=3, impl="plain")
    same = (found.y == plain_found.y.cpu()) & (found.x == plain_found.x.cpu())
    assert float(same.float().mean()) > 0.99  # two matches may be alike to the rounding
    assert float(((made - plain.cpu()).abs() < 1e-5).float().mean()) > 0.95


@pytest.mark.parametrize("device", DEVICES)
def test_patches_of_several_channels_whose_means_count_are_found_and_put_together(device: str) -> None:
    """A part of an exemplar with three channels is found there, by kernel and plain form, and comes out of the vote as it was."""
    exemplar = torch.stack([terrain(48, 50, n, sigma=1.0) for n in range(3)])
    image = exemplar[:, 10:34, 12:40].contiguous()
    atlas = pm.Atlas.of([[exemplar]], mean_weight=1.0)
    field = random_field(image[0], atlas, labels_of(image[0]))
    made, found = pm.reconstruct(image, field, sweeps=14, seed=0, impl="cpu")
    rows, columns = torch.meshgrid(torch.arange(18) + 10, torch.arange(22) + 12, indexing="ij")
    assert ((found.y == rows) & (found.x == columns)).float().mean() > 0.99
    torch.testing.assert_close(made, image, rtol=0, atol=1e-4)
    there = pm.Field(
        replace(atlas, values=atlas.values.to(device), zones=atlas.zones.to(device)), field.groups.to(device), 1,
        field.y.to(device), field.x.to(device),
    )  # fmt: skip
    plain, plain_found = pm.reconstruct(image.to(device), there, sweeps=14, seed=0, impl="plain")
    assert ((plain_found.y.cpu() == found.y) & (plain_found.x.cpu() == found.x)).float().mean() > 0.99
    torch.testing.assert_close(plain.cpu(), made, rtol=0, atol=1e-4)


def test_all_parts_of_an_exemplar_are_used_when_use_costs() -> None:
    height, sample = terrain(60, 64, 1), terrain(50, 52, 2)
    unused = []
    for evenness in (0.0, 0.1):
        atlas, made = pm.Atlas.of([[sample]], evenness=evenness), height
        found = random_field(height, atlas, labels_of(height))
        for turn in range(3):
            made, found = pm.reconstruct(made, found, sweeps=4, seed=turn)
        used = torch.bincount((found.y.long() * 52 + found.x.long()).flatten(), minlength=51 * 52).view(51, 52)
        around = F.avg_pool2d(used[None, None].float(), 7, 1, 3)[0, 0, :44, :46]
        unused.append(float((around < 0.1 * around.mean()).float().mean()))
    assert unused[0] > 0.04
    assert unused[1] < 0.5 * unused[0]


def test_use_costs_by_how_far_it_is_above_its_share() -> None:
    height, atlas = terrain(36, 37, 1), pm.Atlas.of([[terrain(36, 37, 2)]], evenness=0.3)
    field = random_field(height, atlas, labels_of(height))
    rows, columns = torch.meshgrid(
        torch.arange(30, dtype=torch.int32), torch.arange(31, dtype=torch.int32), indexing="ij"
    )
    even = replace(field, y=rows, x=columns)
    assert float(pm.usage_penalty(even)[:30, :31].abs().max()) < 1e-3
    one = replace(field, y=torch.full_like(rows, 12), x=torch.full_like(columns, 13))
    dear = pm.usage_penalty(one)
    variance = float(atlas.values[:, :36].double().var(unbiased=False))
    assert float(dear[12, 13]) == pytest.approx(0.3 * 49 * pm.MOST_OVERUSE * variance, rel=1e-4)
    assert float(dear[12, 20]) == 0.0


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_packed_distances_are_those_written_out(channels: int) -> None:
    """Where means count, a sweep finds the best of a few candidates: no match is worse than before, and each cost is the sum of
    squares."""
    image = torch.stack([terrain(30, 33, n) for n in range(channels)])
    atlas = pm.Atlas.of([[torch.stack([terrain(40, 37, 20 + n) for n in range(channels)])]], mean_weight=1.0)
    field = random_field(image[0], atlas, labels_of(image[0]), stride=2)

    def costs(y: Tensor, x: Tensor) -> np.ndarray:
        matched = sum((all_patches(image[n])[::2, ::2] - all_patches(atlas.values[n])[y.long(), x.long()]) ** 2
                      for n in range(channels))  # fmt: skip
        return np.asarray(matched).sum(-1)

    y, x = pm.improve(image, field, 1, 2, 10, impl="cpu")
    before, after = costs(field.y, field.x), costs(y, x)
    assert (after <= before * (1 + 1e-5)).all()
    plain = pm.improve(image, field, 1, 2, 10, impl="plain")
    np.testing.assert_allclose(after, costs(*plain), rtol=1e-4)
    assert after.mean() < 0.7 * before.mean()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mean_weight", [0.1, 1.0])
def test_plain_form_pays_the_same_penalty(device: str, mean_weight: float) -> None:
    height, atlas = terrain(40, 44, 1), pm.Atlas.of([[terrain(50, 44, 4)]], mean_weight=mean_weight, evenness=0.2)
    field = random_field(height, atlas, labels_of(height))
    there = replace(
        field, atlas=replace(atlas, values=atlas.values.to(device), zones=atlas.zones.to(device)),
        groups=field.groups.to(device), y=field.y.to(device), x=field.x.to(device),
    )  # fmt: skip
    y, x = pm.improve(height, field, 1, 2, 10, impl="cpu")
    plain = pm.improve(height.to(device), there, 1, 2, 10, impl="plain")
    assert float(((y == plain[0].cpu()) & (x == plain[1].cpu())).float().mean()) > 0.99


@pytest.mark.parametrize(("channels", "stride", "mean_weight", "evenness"), [(1, 1, 0.1, 0.0), (2, 2, 1.0, 0.3)])
def test_the_cuda_twin_finds_and_votes_as_the_plain_form(
    channels: int, stride: int, mean_weight: float, evenness: float
) -> None:
    image = torch.stack([terrain(13, 14, n) for n in range(channels)])
    labels = labels_of(image[0])
    labels[:, 7:] = 1
    groups = [[torch.stack([terrain(12, 13, 9 * k + n) for n in range(channels)])] for k in range(1, 3)]
    atlas = pm.Atlas.of(groups, mean_weight, evenness)
    field = random_field(image[0], atlas, labels, stride)
    there = replace(
        field, atlas=replace(atlas, values=atlas.values.to(KERNELS_ON), zones=atlas.zones.to(KERNELS_ON)),
        groups=field.groups.to(KERNELS_ON), y=field.y.to(KERNELS_ON), x=field.x.to(KERNELS_ON),
    )  # fmt: skip
    if evenness:
        torch.testing.assert_close(
            pm.usage_penalty(there, impl="cuda").cpu(), pm.usage_penalty(field, impl="plain"), rtol=1e-5, atol=1e-5
        )
    made, found = pm.reconstruct(image.to(KERNELS_ON), there, sweeps=2, seed=3, impl="cuda")
    plain, plain_found = pm.reconstruct(image, field, sweeps=2, seed=3, impl="plain")
    same = (found.y.cpu() == plain_found.y) & (found.x.cpu() == plain_found.x)
    assert float(same.float().mean()) > 0.97  # two matches may be alike to the rounding
    assert not torch.equal(plain_found.y, field.y)
    assert float(((made.cpu() - plain).abs() < 1e-5).float().mean()) > 0.9


def test_bytes_do_not_depend_on_threads() -> None:
    height, atlas = terrain(60, 70, 1), pm.Atlas.of([[terrain(50, 44, 4)]])
    field = random_field(height, atlas, labels_of(height))
    before, made = numba.get_num_threads(), []
    try:
        for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(count)
            result, found = pm.reconstruct(height, field, sweeps=5, seed=9)
            made.append((result.numpy().tobytes(), found.y.numpy().tobytes(), found.x.numpy().tobytes()))
    finally:
        numba.set_num_threads(before)
    assert made[0] == made[1]
    assert pm.reconstruct(height, field, sweeps=5, seed=10)[0].numpy().tobytes() != made[0][0]


def test_a_resized_field_points_at_the_same_landforms() -> None:
    coarse, fine = terrain(30, 32, 1), terrain(60, 64, 1)
    groups = [[terrain(20, 24, 2), terrain(24, 24, 3)], [terrain(26, 20, 4)]]
    twice = [[torch.kron(e, torch.ones(2, 2)) for e in group] for group in groups]
    labels = labels_of(coarse)
    labels[15:] = 1
    field = random_field(coarse, pm.Atlas.of(groups), labels)
    fine_labels = torch.kron(labels, torch.ones(2, 2, dtype=torch.uint8))
    finer = field.resized((60, 64), pm.Atlas.of(twice), fine_labels, 1, 2.0)
    tops, new_tops = pm.Atlas.of(groups).zones[:, 0], pm.Atlas.of(twice).zones[:, 0]
    used = field.groups.long()
    assert int(used.max()) == 1
    assert torch.equal(finer.y[:48:2, :52:2] - new_tops[used], 2 * (field.y - tops[used]))
    assert torch.equal(finer.x[:48:2, :52:2], 2 * field.x)
    assert finer.y.shape == finer.groups.shape == (fine.shape[0] - 6, fine.shape[1] - 6)
