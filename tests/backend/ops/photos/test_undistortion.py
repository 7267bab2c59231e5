"""The plain form of undistortion against the compiled one; what both are held to stands in tests/shared/test_cameras_lens.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.ops.photos import undistortion_plain
from backend.ops.photos.undistortion import undistort
from shared.cameras import FISHEYE, PERSPECTIVE, Camera, Distortion
from tests.support.devices import DEVICES

LENSES = (
    Distortion(PERSPECTIVE, (-0.12, 0.03, 0.001, -0.002, 0.0, 0.0, 0.0, 0.0)),
    Distortion(PERSPECTIVE, (0.3, 0.1, -0.001, 0.0005, 0.01, 0.35, 0.12, 0.005)),
    Distortion(FISHEYE, (0.05, -0.01, 0.003, -0.0005)),
)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("lens", LENSES, ids=["barrel", "rational", "fisheye"])
def test_the_kernel_is_the_plain_form(
    device: str, dtype: torch.dtype, lens: Distortion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To one number in few pixels: where the kernel rounds a product and a sum together, a half may go the other way."""
    monkeypatch.setattr(undistortion_plain, "PIXELS", 1000)  # several batches of rows
    camera = Camera(
        name="a", width=91, height=67, fx=70.0, fy=72.0, cx=44.0, cy=36.5, distortion=lens, rotation=np.eye(3),
        translation=np.zeros(3),
    )  # fmt: skip
    top = torch.iinfo(dtype).max
    noise = np.random.default_rng(4).integers(0, top + 1, (67, 91, 3))
    pixels = torch.from_numpy(noise.astype(np.uint8 if dtype == torch.uint8 else np.uint16))
    fast, inside = undistort(pixels, camera, impl="cpu")
    plain, inside_too = undistort(pixels.to(device), camera, impl="plain")
    assert inside is not None
    assert inside_too is not None
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(inside, inside_too.cpu())
    gap = (fast.to(torch.int32) - plain.cpu().to(torch.int32)).abs()
    assert int(gap.max()) <= 1
    assert float((gap > 0).float().mean()) < 0.02


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("lens", LENSES, ids=["barrel", "rational", "fisheye"])
def test_the_cuda_twin_is_the_plain_form(dtype: torch.dtype, lens: Distortion) -> None:
    camera = Camera(
        name="a", width=19, height=14, fx=14.0, fy=15.0, cx=9.0, cy=7.5, distortion=lens, rotation=np.eye(3),
        translation=np.zeros(3),
    )  # fmt: skip
    noise = np.random.default_rng(4).integers(0, torch.iinfo(dtype).max + 1, (14, 19, 3))
    pixels = torch.from_numpy(noise.astype(np.uint8 if dtype == torch.uint8 else np.uint16)).to(DEVICES[-1])
    (plain, inside), (twin, inside_too) = (undistort(pixels, camera, impl=impl) for impl in ("plain", "cuda"))  # type: ignore[arg-type]
    assert inside is not None
    assert inside_too is not None
    assert inside.float().mean() > 0.5
    assert torch.equal(inside_too, inside)
    gap = (twin.to(torch.int32) - plain.to(torch.int32)).abs()
    assert int(gap.max()) <= 1
    assert float((gap > 0).float().mean()) < 0.02
