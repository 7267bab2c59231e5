"""An LPIPS-like distance between two pictures: SqueezeNet's features, LPIPS' linear heads (Zhang et al. 2018, "The unreasonable
effectiveness of deep features as a perceptual metric").

Like, not the same: the features are those of the Keras port of SqueezeNet 1.1 (no padding, its own preprocessing), whose
weights lie beside the repository (../shared/data/features) and are no part of it. Distances compare methods; they are no
published LPIPS figures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

MEAN_BGR = (103.939, 116.779, 123.68)
# What runs before each of the seven looks: fire modules, after a pooling where "pool" says so
_STAGES = (("fire2", "fire3"), ("fire4", "fire5"), ("fire6",), ("fire7",), ("fire8",), ("fire9",))
_POOLED = (True, True, True, False, False, False)


class PerceptualDistance:
    """folder: holds squeezenet11/ and lpips_lin/. Raises FileNotFoundError where it does not."""

    def __init__(self, folder: Path) -> None:
        features = np.load(folder / "squeezenet11" / "squeezenet11_notop.npz")
        heads = np.load(folder / "lpips_lin" / "squeeze.npz")
        self.weights: dict[str, torch.Tensor] = {}
        for name in features.files:
            words, value = name.split("|"), torch.from_numpy(features[name])
            layer = ".".join(words[:2]) if len(words) > 2 else words[0]
            if value.ndim == 4:
                self.weights[f"{layer}.weight"] = value.permute(3, 2, 0, 1).contiguous()
            else:
                self.weights[f"{layer}.bias"] = value
        self.heads = [torch.from_numpy(heads[f"lin{k}.model.1.weight"]).flatten() for k in range(7)]

    @torch.no_grad()
    def __call__(self, first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> float:
        """Distance of two pictures float32 [H, W, 3] sRGB 0..1 within a mask bool [H, W]; outside it both are made grey."""
        looks = [self._looks(picture, mask) for picture in (first, second)]
        inside = torch.from_numpy(mask).float()[None, None]
        total = 0.0
        for head, a, b in zip(self.heads, *looks, strict=True):
            difference = ((_unit(a) - _unit(b)) ** 2 * head[:, None, None]).sum(1)[0]
            share = F.interpolate(inside, size=difference.shape, mode="area")[0, 0]
            total += float((difference * share).sum() / share.sum())
        return total

    def _looks(self, picture: np.ndarray, mask: np.ndarray) -> list[torch.Tensor]:
        filled = np.where(mask[..., None], np.nan_to_num(picture), 0.5).astype(np.float32)
        x = torch.from_numpy(np.ascontiguousarray(filled[..., ::-1])).permute(2, 0, 1)[None] * 255
        x = x - torch.tensor(MEAN_BGR)[:, None, None]
        x = F.relu(F.conv2d(x, self.weights["conv1.weight"], self.weights["conv1.bias"], stride=2))
        looks = [x]
        for fires, pooled in zip(_STAGES, _POOLED, strict=True):
            x = F.max_pool2d(x, 3, 2) if pooled else x
            for fire in fires:
                x = self._fire(x, fire)
            looks.append(x)
        return looks

    def _fire(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = F.relu(self._conv(x, f"{name}.squeeze1x1", 0))
        return torch.cat([F.relu(self._conv(x, f"{name}.expand{k}x{k}", k // 2)) for k in (1, 3)], 1)

    def _conv(self, x: torch.Tensor, layer: str, padding: int) -> torch.Tensor:
        return F.conv2d(x, self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"], padding=padding)


def _unit(x: torch.Tensor) -> torch.Tensor:
    """Each place's features at length 1, as LPIPS does."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
