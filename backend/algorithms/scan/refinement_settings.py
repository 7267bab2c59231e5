"""What a texture's refinement is given beside the texture: its settings, and the photographs as it takes them.

Plain data, read by backend/algorithms/scan/texture_refinement.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from backend.ops.texels.losses import LossWeights, Penalty

if TYPE_CHECKING:
    from shared.catalog.scan_texture import ScanTextureParams


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A photograph, or a strip of whole rows of it, strips in their order.

    colors [h, W, 3] float32 0..1, as the texture should show them: undistorted and corrected. uv [h, W, 2] float32, NaN where
    it sees no surface. weight [h, W] float32 >= 0. footprint [h, W] float32, UV units a pixel is wide, or None: points.
    photograph: its number.
    """

    colors: Tensor
    uv: Tensor
    weight: Tensor
    footprint: Tensor | None = None
    photograph: int = 0


Views = Callable[[Sequence[int]], Iterable[View]]  # the views of these photographs, in this order
Look = Callable[[Callable[[], np.ndarray]], None]  # given a function that makes the current texture


@dataclass(frozen=True, kw_only=True)
class RefinementSettings:
    """How a texture is refined. Rates and losses count colours from -1 to 1.

    mode: "original" ignores batch, penalty, knee, seams and area. epochs: passes at the full rate; decay_epochs: passes while it
    falls to nothing. batch: photographs a step, 0 for all. knee: where charbonnier and huber round off.
    level_weights: of the regulariser, finest first; empty for the original's. area: pixels are areas. seams: how much the
    two sides of a cut in the UVs count; at 1 a texel's length of it counts what the photographs say of a texel.
    """

    mode: Literal["refine", "original"] = "refine"
    epochs: int = 10
    decay_epochs: int = 20
    rate: float = 0.002
    batch: int = 0
    levels: int = 4
    level_weights: tuple[float, ...] = ()
    regularization: float = 0.1
    penalty: Penalty = "l1"
    knee: float = 0.04
    losses: LossWeights = field(default_factory=LossWeights)
    area: bool = True
    seams: float = 1.0
    download_weights: bool = False

    @property
    def needs_features(self) -> bool:
        return self.losses.content > 0 or self.losses.style > 0

    @property
    def needs_whole_views(self) -> bool:
        """Whether views must be whole photographs, not strips."""
        return self.needs_features or self.mode == "original"

    @classmethod
    def from_params(cls, params: ScanTextureParams) -> RefinementSettings | None:
        """What the parameters ask for; None where they ask for no refinement."""
        if params.refinement == "none" or params.refinement_epochs + params.refinement_decay_epochs == 0:
            return None
        return cls(
            mode=params.refinement,
            epochs=params.refinement_epochs,
            decay_epochs=params.refinement_decay_epochs,
            rate=params.refinement_rate,
            batch=params.refinement_batch,
            levels=params.refinement_levels,
            regularization=params.regularization,
            penalty=params.refinement_penalty,
            knee=2 * params.tolerance,
            losses=LossWeights(
                l1=params.l1_loss,
                l2=params.l2_loss,
                gradient=params.gradient_loss,
                content=params.content_loss,
                style=params.style_loss,
            ),
            area=params.pixel_model == "area",
            seams=params.seam_weight,
            download_weights=params.download_weights,
        )
