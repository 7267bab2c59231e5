"""What is painted, at full and at reduced resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.painting.segments import Segments


@dataclass(frozen=True)
class Scene:
    """picture, canvas [H, W, 3] sRGB-encoded: what is painted, and on what."""

    picture: Tensor
    canvas: Tensor
    segments: Segments

    def reduced(self, factor: int) -> Scene:
        """Over blocks of factor x factor pixels; a pixel that is reduced stands for the segment at its middle."""
        if factor == 1:
            return self
        labels, depth = (
            _padded(values[..., None].float(), factor)[factor // 2 :: factor, factor // 2 :: factor, 0]
            for values in (self.segments.labels, self.segments.depth_px)
        )
        segments = replace(self.segments, labels=labels.long(), depth_px=depth / factor)
        return Scene(block_means(self.picture, factor), block_means(self.canvas, factor), segments)


def block_means(image: Tensor, factor: int) -> Tensor:
    """[H, W, C] -> means over blocks; those at the end repeat the last row or column."""
    if factor == 1:
        return image
    return F.avg_pool2d(_padded(image, factor).movedim(2, 0)[None], factor)[0].movedim(0, 2).contiguous()


def _padded(image: Tensor, factor: int) -> Tensor:
    rows, columns = (-side % factor for side in image.shape[:2])
    return F.pad(image.movedim(2, 0)[None], (0, columns, 0, rows), mode="replicate")[0].movedim(0, 2)
