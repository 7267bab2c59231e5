"""Pixels of a photograph as a texture's normal equations take them in, and what they say back: no equation is known here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backend.ops.texels.constants import HUBER, L2, REDESCEND

Loss = Literal["l2", "l1", "huber", "geman-mcclure"]
LOSSES: dict[str, int] = {"l2": L2, "l1": HUBER, "huber": HUBER, "geman-mcclure": REDESCEND}
DECODING = {torch.uint8: 1 / 255, torch.uint16: 1 / 65535, torch.float32: 1.0}


@dataclass(frozen=True)
class Residuals:
    """What one photograph says of the texture: sums over its pixels, [22] float64. Add those of its strips.

    Of B photographs at once [B, 22]; `each` takes them apart.

    The pixels' robust weights w; m is the colour the texture gives, c the photograph's decoded one BEFORE gain and
    offset, r = gain c + offset - m. Three numbers, one per channel, where it says so.
    """

    sums: Tensor

    def __add__(self, other: Residuals) -> Residuals:
        return Residuals(self.sums + other.sums)

    def each(self) -> list[Residuals]:
        """Every photograph's own, on the host: one wait for all of them."""
        return [Residuals(sums) for sums in self.sums.cpu()]

    def _host(self) -> np.ndarray:
        return self.sums.cpu().numpy()

    @property
    def count(self) -> int:
        """Pixels that were used."""
        return int(self._host()[0])

    @property
    def weight(self) -> float:
        """sum w."""
        return float(self._host()[1])

    @property
    def squared(self) -> float:
        """sum w |r|², |r| the length over the channels."""
        return float(self._host()[2])

    @property
    def absolute(self) -> float:
        """sum |r| without any weight."""
        return float(self._host()[3])

    @property
    def model(self) -> np.ndarray:
        """sum w m, [3]."""
        return self._host()[4:7]

    @property
    def photograph(self) -> np.ndarray:
        """sum w c, [3]."""
        return self._host()[7:10]

    @property
    def model_squared(self) -> np.ndarray:
        """sum w m², [3]."""
        return self._host()[10:13]

    @property
    def product(self) -> np.ndarray:
        """sum w m c, [3]."""
        return self._host()[13:16]

    @property
    def photograph_squared(self) -> np.ndarray:
        """sum w c², [3]."""
        return self._host()[16:19]

    @property
    def plain_squared(self) -> np.ndarray:
        """sum over used pixels of r², without any weight, [3]: for PSNR."""
        return self._host()[19:22]


@dataclass(frozen=True)
class Settings:
    """How pixels are taken in: see stencil.accumulate. gain, offset: [3], or [B, 3] for B photographs."""

    gain: np.ndarray
    offset: np.ndarray
    loss: int
    threshold: float
    gradient: float
    solve: bool

    def tones(self, dtype: torch.dtype) -> np.ndarray:
        """Decoding, gain and offset of three channels, float32 [3, 3] or [B, 3, 3]."""
        return np.stack((np.full_like(self.gain, DECODING[dtype]), self.gain, self.offset), -2)

    def of(self, photograph: int) -> Settings:
        """Those of one of B photographs."""
        return replace(self, gain=self.gain[photograph], offset=self.offset[photograph])


@dataclass(frozen=True)
class Pixels:
    """A strip of pixels: uv [..., 2], footprint [...], weight [...], color [..., 3], contiguous.

    Each is [n], [rows, W], or [B, rows, W] of B photographs.
    """

    uv: Tensor
    footprint: Tensor
    weight: Tensor
    color: Tensor

    @classmethod
    def checked(cls, uv: Tensor, footprint: Tensor, weight: Tensor, color: Tensor, device: torch.device) -> Pixels:
        """Checked: ValueError for shapes that do not go together, a type that is not taken, or another device."""
        parts = cls(*(part.contiguous() for part in (uv, footprint, weight, color)))
        shape = parts.weight.shape
        fits = (parts.uv.shape, parts.footprint.shape, parts.color.shape) == ((*shape, 2), shape, (*shape, 3))
        if not fits or len(shape) not in (1, 2, 3):
            shapes = [tuple(part.shape) for part in (parts.uv, parts.footprint, parts.weight, parts.color)]
            raise ValueError(f"pixels of shapes {shapes} do not go together")
        if parts.color.dtype not in DECODING:
            raise ValueError(f"colors are uint8, uint16 or float32, not {parts.color.dtype}")
        for part in (parts.uv, parts.footprint, parts.weight):
            if part.dtype != torch.float32 or part.device.type != device.type:
                raise ValueError(f"expected float32 on {device}, not {part.dtype} on {part.device}")
        return parts

    def of(self, photograph: int) -> Pixels:
        """Those of one of B photographs."""
        return Pixels(self.uv[photograph], self.footprint[photograph], self.weight[photograph], self.color[photograph])

    def flat(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As lists of pixels."""
        return self.uv.reshape(-1, 2), self.footprint.reshape(-1), self.weight.reshape(-1), self.color.reshape(-1, 3)
