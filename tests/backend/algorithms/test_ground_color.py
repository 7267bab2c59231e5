"""The colour of ground: it follows form and holds no light, bands and threads agree, water shows its bed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from backend.algorithms.sketch import cover
from backend.algorithms.sketch.ground_form import Form, Whole, form_of
from backend.algorithms.sketch.ground_paint import beside
from backend.measures.sketched_terrain import LUMA, baked_light
from shared.painted_classes import PAINTED_CLASSES, PaintedClass
from shared.terrain_classes import FOREST, GRASS, ROCK, SAND, SNOW, TERRAIN_CLASSES, WATER

PIXEL_M = 30.0


def hills(rows: int, columns: int, height_m: float = 900.0, seed: int = 0) -> Tensor:
    noise = np.random.default_rng(seed).normal(size=(rows, columns))
    return torch.from_numpy(ndimage.gaussian_filter(noise, 5) * height_m).float()


def covered(
    surface: Tensor,
    classes: int | Tensor = FOREST,
    seed: int = 0,
    depth: Tensor | float = 0.0,
    flow: Tensor | None = None,
) -> Tensor:
    numbers = torch.full(surface.shape, classes) if isinstance(classes, int) else classes
    flow = torch.full(surface.shape, PIXEL_M**2) if flow is None else flow
    bare = torch.zeros_like(numbers, dtype=torch.bool)
    made, _ = cover.cover(
        numbers, surface, surface - depth, PIXEL_M, flow, seed,
        bare=bare, colored=True, observe=lambda done, rows: None,
    )  # fmt: skip
    assert made is not None
    return made


def formed(surface: Tensor) -> Form:
    return form_of(surface, torch.full(surface.shape, PIXEL_M**2), 0, Whole.of(surface, PIXEL_M))


def luma(color: Tensor) -> Tensor:
    return color @ torch.from_numpy(LUMA).float()


@pytest.mark.parametrize("classes", [SAND, GRASS, FOREST, ROCK, SNOW])
def test_colors_hold_no_light(classes: int) -> None:
    surface = hills(256, 256)
    numbers = np.full(surface.shape, classes)
    made = covered(surface, classes).numpy()
    assert baked_light(made, surface.numpy(), PIXEL_M, numbers) < 0.02
    down, across = np.gradient(surface.numpy(), PIXEL_M)
    lit = made * (1.0 + 0.4 * (down + across) / np.sqrt(1.0 + down**2 + across**2))[..., None]
    assert baked_light(lit, surface.numpy(), PIXEL_M, numbers) > 0.03, "and the measure would see it"


@pytest.mark.parametrize("columns", [40, 41])
def test_colors_are_made_in_bands_that_agree(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    surface = hills(200, columns)
    classes = torch.from_numpy(np.arange(200)[:, None] // 30 + np.zeros((1, columns), int))
    depth = (classes == WATER).float() * 4.0
    whole = covered(surface, classes, depth=depth)
    monkeypatch.setattr(cover, "BAND_PIXELS", 31 * columns)
    torch.testing.assert_close(covered(surface, classes, depth=depth), whole, rtol=0.0, atol=1e-5)


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    surface = hills(300, 301)
    classes = torch.from_numpy(np.arange(301)[None] * 7 // 301 + np.zeros((300, 1), int))
    before, made = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        made.append(covered(surface, classes))
    torch.set_num_threads(before)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def test_gullies_are_darker_than_crests() -> None:
    surface = hills(256, 256, 500.0)
    hollow = formed(surface).hollow
    for classes in (GRASS, FOREST, ROCK):
        bright = luma(covered(surface, classes))
        assert bright[hollow > 0.4].mean() < 0.85 * bright[hollow < -0.4].mean()


def test_snow_leaves_steep_faces_and_stays_in_hollows() -> None:
    surface = hills(256, 256, 1600.0)
    form, bright = formed(surface), luma(covered(surface, SNOW))
    steep, gentle = form.steepness > 45.0, form.steepness < 15.0
    assert bright[gentle].mean() > 0.7 > 2.0 * bright[steep].mean()
    middling = (form.steepness > 30.0) & (form.steepness < 42.0)
    assert bright[middling & (form.hollow > 0.4)].mean() > 1.2 * bright[middling & (form.hollow < -0.4)].mean()


def test_trees_cross_a_border_up_gullies() -> None:
    surface = hills(256, 256, 500.0)
    classes = torch.full(surface.shape, GRASS)
    classes[:, :128] = FOREST
    bright, hollow = luma(covered(surface, classes)), formed(surface).hollow
    beyond = torch.zeros_like(hollow, dtype=torch.bool)
    beyond[:, 129:134] = True
    wooded = bright < 0.5 * float(bright[:, 180:].mean() + bright[:, :80].mean())
    assert wooded[beyond & (hollow > 0.3)].float().mean() > 1.5 * wooded[beyond & (hollow < -0.3)].float().mean()


def test_flow_is_seen_as_greener_ground() -> None:
    surface, flow = torch.zeros(64, 64), torch.full((64, 64), PIXEL_M**2)
    flow[:, 30:33] *= 4000.0
    dry, moist = (covered(surface, GRASS, flow=given)[:, 31] for given in (None, flow))
    assert luma(moist).mean() < 0.8 * luma(dry).mean()


def test_shallow_water_shows_its_bed_and_sand_beside_it_is_wet() -> None:
    surface, classes = torch.zeros(64, 64), torch.full((64, 64), SAND)
    classes[:, :32] = WATER
    depth = torch.zeros(64, 64)
    depth[:, :32] = torch.linspace(200.0, 1.0, 32)
    bright = luma(covered(surface, classes, depth=depth)).mean(0)
    assert bright[31] > 1.5 * bright[2]
    assert bright[32] < 0.8 * bright[50]
    assert bright[31] < bright[32], "the border of the water stays where it is"


def test_colors_vary_from_pixel_to_pixel() -> None:
    for classes, least in ((FOREST, 0.08), (ROCK, 0.04), (SAND, 0.01)):
        bright = luma(covered(torch.zeros(96, 96), classes)).log().numpy()
        assert (bright - ndimage.gaussian_filter(bright, 1.5)).std() > least


def test_what_goes_with_a_class_goes_with_a_users_own() -> None:
    grass = PAINTED_CLASSES[GRASS]
    assert beside(grass, (124, 102, 72)) == (124, 102, 72)
    values = {name: getattr(TERRAIN_CLASSES[GRASS], name) for name in vars(TERRAIN_CLASSES[GRASS])}
    moor = PaintedClass(**values | {"name": "Moor", "ground": (51, 56, 32)}, like=GRASS)
    assert beside(moor, (124, 102, 72)) == (62, 51, 36)


@pytest.mark.parametrize("shape", [(1, 64), (64, 1), (3, 3), (17, 33)])
def test_narrow_maps(shape: tuple[int, int]) -> None:
    made = covered(torch.zeros(shape), ROCK)
    assert made.shape == (*shape, 3)
    assert made.isfinite().all()
