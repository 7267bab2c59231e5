"""Channels there and back, rectangles around holes, images that wrap, borders between samples, estimated relief."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.algorithms.textures import layout, parts, relief, rows, torus, transport
from backend.algorithms.textures.channels import Channels
from backend.algorithms.textures.synthesis import Settings, synthesize
from backend.ops.dispatch import VARIABLE
from backend.ops.patches import patch_match, sliced_wasserstein
from backend.ops.patches.filter_bank import random_filters

RNG = np.random.default_rng


def material(rows: int = 40, columns: int = 30, seed: int = 0) -> dict[str, np.ndarray]:
    """Colours that go together, heights in metres, normals and a constant."""
    draw = RNG(seed)
    one = draw.random((rows, columns, 1)).astype(np.float32)
    slopes = 0.4 * draw.normal(size=(rows, columns, 2)).astype(np.float32)
    normal = np.concatenate([slopes, np.ones_like(one)], axis=2)
    return {
        "base_color": one * np.array([0.8, 0.4, 0.1], np.float32)
        + 0.05 * draw.random((rows, columns, 3)).astype(np.float32),
        "height": 120.0 + 30.0 * one,
        "normal": normal / np.linalg.norm(normal, axis=2, keepdims=True),
        "metallic": np.zeros_like(one),
    }


def test_channels_lead_back_to_the_maps() -> None:
    maps = material()
    channels = Channels.of([maps])
    made = channels.decode(channels.encode(maps))
    assert list(made) == list(maps)
    for name, values in maps.items():
        assert made[name].shape == values.shape
        np.testing.assert_allclose(made[name], values, atol=2e-3 * max(1.0, float(np.ptp(values))))
    np.testing.assert_allclose(np.linalg.norm(made["normal"], axis=2), 1.0, atol=1e-5)


def test_channels_have_the_spread_of_their_map_and_a_constant_has_none() -> None:
    channels = Channels.of([material()])
    encoded = channels.encode(material())
    assert channels.count == 3 + 1 + 2
    deviations = encoded.flatten(1).std(1)
    assert float(deviations[:3].square().sum().sqrt()) == pytest.approx(1.0, abs=0.02)
    assert float(deviations[3]) == pytest.approx(0.35, abs=0.02)
    weakest, strongest = float(deviations[:3].min()), float(deviations[:3].max())
    colors = np.linalg.eigvalsh(np.cov((material()["base_color"].reshape(-1, 3) ** (1 / 2.2)).T)) ** 0.5
    assert weakest / strongest > 1.3 * colors[0] / colors[-1]


def test_values_stay_within_those_of_the_samples() -> None:
    maps = material()
    channels = Channels.of([maps])
    made = channels.decode(5.0 * torch.randn(channels.count, 20, 20, generator=torch.Generator().manual_seed(0)))
    for name in ("base_color", "height"):
        assert made[name].min() >= maps[name].min() - 1e-3
        assert made[name].max() <= maps[name].max() + 1e-3


def brute_force(free: np.ndarray, least: int) -> int:
    rows, columns = free.shape
    best = 0
    for top in range(rows):
        for bottom in range(top + least, rows + 1):
            whole = free[top:bottom].all(axis=0)
            run = 0
            for column in range(columns):
                run = run + 1 if whole[column] else 0
                if run >= least:
                    best = max(best, run * (bottom - top))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_rectangle_is_that_of_a_search(seed: int) -> None:
    free = RNG(seed).random((18, 23)) < 0.93
    rows, columns = parts.largest_rectangle(free, 3)
    assert free[rows, columns].all()
    assert free[rows, columns].size == brute_force(free, 3)


def test_rectangles_lie_around_a_hole_and_do_not_overlap() -> None:
    alpha = np.ones((100, 120), np.float32)
    alpha[40:60, 50:80] = 0.0
    found = parts.opaque_rectangles(alpha, 16)
    assert len(found) == 4
    used = np.zeros(alpha.shape, int)
    for place in found:
        used[place] += 1
        assert (alpha[place] == 1.0).all()
    assert used.max() == 1
    assert parts.opaque_rectangles(np.zeros((50, 50), np.float32), 16) == []


def test_no_place_of_an_image_that_wraps_is_another_than_the_others() -> None:
    """The image moved across its border gives the direction moved likewise."""
    image, sample = torch.randn(2, 20, 24), torch.randn(2, 40, 40)
    bank = sliced_wasserstein.measure([sample], random_filters(4, torch.Generator().manual_seed(0), channels=2))

    def direction(values: torch.Tensor) -> torch.Tensor:
        return torus.folded(sliced_wasserstein.ascent(torus.continued(values), bank))

    moved = direction(image.roll((5, -9), (1, 2)))
    torch.testing.assert_close(
        moved, direction(image).roll((5, -9), (1, 2)), rtol=0, atol=1e-4 * float(moved.abs().max())
    )


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_vote_across_the_wrap_is_that_of_a_larger_image_of_copies(stride: int) -> None:
    image, sample = torch.randn(2, 16, 24), torch.randn(2, 30, 30)
    labels = torch.zeros(16, 24, dtype=torch.uint8)
    atlas = patch_match.Atlas.of([[sample]], mean_weight=1.0)
    around = torus.continued(labels)
    field = patch_match.Field.random((around.shape[0], around.shape[1]), atlas, around, stride, RNG(1))
    assert field.y.shape == (16 // stride, 24 // stride)
    tiled = patch_match.Field(
        atlas, *(values.repeat(3, 3) for values in (field.groups,)), stride, field.y.repeat(3, 3), field.x.repeat(3, 3)
    )
    wide = patch_match.vote(torus.continued(image.repeat(1, 3, 3)), tiled)[:, 16:32, 24:48]
    torch.testing.assert_close(torus.vote(image, field), wide)


def test_a_side_that_does_not_tile_is_odd_and_cut_afterwards() -> None:
    canvas = layout.Canvas.of(100, 64, "x")
    assert (canvas.shape, canvas.kept, canvas.wraps) == ((101, 64), (100, 64), (False, True))
    values = torch.arange(100.0)[:, None].expand(100, 64)
    extended = canvas.extended(values)
    assert torch.equal(extended[:100], values)
    assert float(extended[100, 0]) == 99.0
    with pytest.raises(ValueError, match="even"):
        layout.Canvas.of(64, 101, "xy")


@pytest.mark.parametrize("wraps", [(True, True), (True, False), (False, False)])
def test_patches_on_a_pixel_are_counted(wraps: tuple[bool, bool]) -> None:
    around = torus.continued(torch.zeros(1, 9, 20), wraps)
    spread = torch.zeros_like(around)
    for y in range(around.shape[1] - 6):
        for x in range(around.shape[2] - 6):
            spread[:, y : y + 7, x : x + 7] += 1.0
    assert torch.equal(torus.folded(spread, wraps)[0], torus.patches_on((9, 20), wraps))


@pytest.mark.parametrize("plain", [False, True])
def test_values_out_of_range_are_cut_and_others_stay(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "plain" if plain else "")
    maps = material()
    channels = Channels.of([maps])
    inside, limited = channels.encode(maps), channels.limiter(torch.device("cpu"))
    same, cut = inside.clone(), 3.0 * inside
    limited(same)
    torch.testing.assert_close(same, inside, rtol=0, atol=1e-4)
    limited(cut)
    made = channels.decode(cut.clone())["height"]
    assert float(made.max()) == pytest.approx(float(maps["height"].max()), abs=1e-2)
    again = cut.clone()
    limited(again)
    torch.testing.assert_close(again, cut, rtol=0, atol=1e-4)


@pytest.mark.parametrize("wraps", [(True, True), (False, True), (False, False)])
def test_long_steps_bring_every_place_near_the_sample(wraps: tuple[bool, bool]) -> None:
    """Also along an edge, where few patches lie: a pixel's step does not depend on how many there are."""
    generator = torch.Generator().manual_seed(0)
    sample = 2.0 + 0.5 * torch.rand(1, 48, 48, generator=generator)
    image = 1.75 + 0.5 * torch.rand(1, 32, 32, generator=generator)
    banks = transport.LONG.measured([[sample]], 40, transport.LONG.drawn(1, generator))
    mover = transport.LONG.mover(image, wraps)
    for step in range(40):
        direction = sliced_wasserstein.ascent(torus.continued(image, wraps), banks[step][0])
        mover.move(image, torus.folded(direction, wraps), step / 40)
    assert float(image.mean()) == pytest.approx(2.25, abs=0.03)
    for edge in (image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]):
        assert float(edge.mean()) == pytest.approx(2.25, abs=0.15)


def test_a_border_strays_about_the_masks_and_leaves_the_rest_alone() -> None:
    mask = np.zeros((128, 128), np.float32)
    mask[:, 64:] = 1.0
    canvas = layout.Canvas.of(128, 128, "none")
    made = layout.labels(np.stack([1 - mask, mask]), canvas, 24.0, torch.Generator().manual_seed(0))[:128, :128]
    assert int(made[:, :40].sum()) == 0
    assert bool((made[:, 88:] == 1).all())
    border = np.array([int((row == 0).sum()) for row in made])
    assert border.std() > 1.5
    assert abs(border.mean() - 64) < 6
    straight = layout.labels(np.stack([1 - mask, mask]), canvas, 0.0, torch.Generator().manual_seed(0))[:128, :128]
    assert torch.equal(straight, torch.from_numpy(mask).to(torch.uint8))


def test_estimated_height_is_higher_where_it_is_brighter_and_forgets_slow_light() -> None:
    rows, columns = np.mgrid[0:160, 0:160]
    stones = (np.sin(columns / 3.0) * np.sin(rows / 3.0) > 0).astype(np.float32)
    light = np.exp(columns / 100.0)
    color = ((0.2 + 0.3 * stones) * light)[..., None] * np.ones(3)
    height = relief.height_of(color.astype(np.float32))
    assert height.min() >= 0.0
    assert height.max() <= 1.0
    inner = np.s_[20:-20, 20:-20]
    assert np.corrcoef(height[inner].ravel(), stones[inner].ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(height[inner].ravel(), light[inner].ravel())[0, 1]) < 0.1


def test_normals_point_away_from_a_slope_and_know_the_wrap() -> None:
    rise = np.tile(np.arange(8, dtype=np.float32) / 8, (6, 1))  # rises to the right by 1/8 per pixel
    normal = relief.normals_of(rise, 8.0, wraps=(False, False))
    np.testing.assert_allclose(normal[3, 4], np.array([-1, 0, 1]) / np.sqrt(2), atol=1e-6)
    down = relief.normals_of(np.ascontiguousarray(rise.T), 8.0, wraps=(False, False))
    np.testing.assert_allclose(
        down[4, 3], np.array([0, 1, 1]) / np.sqrt(2), atol=1e-6
    )  # higher to the bottom: faces up
    wave = np.sin(2 * np.pi * np.arange(16) / 16).astype(np.float32)[None].repeat(4, 0)
    wrapped = relief.normals_of(wave, 1.0, wraps=(False, True))
    np.testing.assert_allclose(wrapped[0, 0, 0], -wrapped[0, 8, 0], atol=1e-6)


def bricks(seed: int = 0, *, height: int = 72, width: int = 90, course: int = 12) -> torch.Tensor:
    """Courses of bricks [1, height, width] of many lengths and shades, with dark joints."""
    draw = RNG(seed)
    wall = np.zeros((height, width), np.float32)
    for top in range(0, height, course):
        left = -int(draw.integers(20))
        while left < width:
            long = int(draw.integers(14, 30))
            wall[top + 2 : top + course, max(left + 2, 0) : max(left + long, 0)] = 0.7 + 0.3 * draw.random()
            left += long
    return torch.from_numpy(wall + 0.05 * draw.normal(size=wall.shape).astype(np.float32))[None]


def straightness(wall: torch.Tensor, guide: torch.Tensor) -> float:
    """0..1: how far each pixel's place in its row is where straight rows have it, wherever those begin."""
    found = rows.phases(wall, rows.Rows(0, 12.0, 0, 1.0)).numpy()
    one, other = (part[0] + 1j * part[1] for part in (found, guide.numpy()))
    return float(np.abs((one * other.conj()).sum()) / np.sqrt((np.abs(one) ** 2).sum() * (np.abs(other) ** 2).sum()))


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_are_found_along_either_side_and_not_where_there_are_none(axis: int) -> None:
    wall = bricks()
    found = rows.find(wall if axis == 0 else wall.transpose(1, 2).contiguous())
    assert found is not None
    assert found.axis == axis
    assert found.width == pytest.approx(12, abs=1)
    blobs = torch.from_numpy(RNG(1).normal(size=(90, 90)).astype(np.float32))
    assert rows.find(torus.smoothed(blobs, 3.0)[None]) is None
    assert rows.find(torch.zeros(1, 60, 60)) is None


def test_samples_without_the_same_rows_have_no_guide() -> None:
    wall, other = bricks(), bricks(course=18)
    assert rows.Guide.of([wall, bricks(3)], (60, 60), torus.BOTH, RNG(0)) is not None
    assert rows.Guide.of([wall, other], (60, 60), torus.BOTH, RNG(0)) is None
    assert rows.Guide.of([wall, torch.zeros(1, 60, 60)], (60, 60), torus.BOTH, RNG(0)) is None


def test_whole_rows_lie_on_what_wraps_and_only_where_their_sample_does() -> None:
    guide = rows.Guide.of([bricks()], (64, 50), torus.BOTH, RNG(0))
    assert guide is not None
    assert guide.count == 5
    free = rows.Guide.of([bricks()], (64, 50), (False, True), RNG(0))
    assert free is not None
    assert free.count == pytest.approx(64 / 12, abs=0.5)
    labels = torch.zeros(64, 50, dtype=torch.uint8)
    labels[:, 30:] = 1
    made = rows.straight([guide, None], labels)
    assert made is not None
    assert not made[:, :, 30:].any()
    torch.testing.assert_close(made[:, 0, 0], made[:, 0, 29])
    across = torch.cat([made[:, -1:, 0], made[:, :2, 0]], dim=1).diff(dim=1).norm(dim=0)
    assert across[0] == pytest.approx(float(across[1]), rel=1e-3)
    assert rows.straight([None, None], labels) is None


def shifted(wall: torch.Tensor, by_px: np.ndarray) -> torch.Tensor:
    columns = [np.roll(wall[0, :, x].numpy(), round(float(by_px[x]))) for x in range(wall.shape[2])]
    return torch.from_numpy(np.stack(columns, axis=1))[None]


def test_rows_that_waver_in_the_sample_are_straight_in_the_texture() -> None:
    labels = torch.zeros(72, 144, dtype=torch.uint8)
    sample = shifted(bricks(), 1.6 * np.sin(np.arange(90) / 9))
    guide = rows.straight([rows.Guide.of([sample], (72, 144), torus.BOTH, RNG(0))], labels)
    assert guide is not None
    with_guide, without = (
        synthesize([[sample]], labels, Settings(steps=4, straight_rows=is_straight), torch.Generator().manual_seed(1))
        for is_straight in (True, False)
    )
    assert straightness(with_guide, guide) > 0.98
    assert straightness(without, guide) < 0.8


def test_rows_that_lean_are_left_as_they_are() -> None:
    assert rows.find(shifted(bricks(), np.linspace(0, 2, 90))) is not None
    assert rows.find(shifted(bricks(), np.linspace(0, 18, 90))) is None


@pytest.mark.parametrize("wraps", [(True, True), (True, False), (False, True)])
def test_what_wraps_is_enlarged_as_if_it_had_no_edge(wraps: torus.Wraps) -> None:
    image = torch.randn(2, 20, 24, generator=torch.Generator().manual_seed(0))
    axes = [axis for axis, wrap in enumerate(wraps, 1) if wrap]
    made = torus.enlarged(image, (30, 34), wraps)
    turned = torus.enlarged(image.roll([image.shape[axis] // 2 for axis in axes], axes), (30, 34), wraps)
    torch.testing.assert_close(turned.roll([made.shape[axis] // 2 for axis in axes], axes), made, atol=1e-5, rtol=0)
    ending = torus.enlarged(image, (30, 34), (False, False))
    assert (ending - made).abs().max() > 0.1
    torch.testing.assert_close(ending[:, 6:-6, 6:-6], made[:, 6:-6, 6:-6])
