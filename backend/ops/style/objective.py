"""The loss of a height map against its exemplars, and its exact gradient, in memory that the size of a tile
bounds.

What the exemplars say is measured once, not at every step. A large map takes two passes over overlapping tiles:
the first adds up the statistics of the whole, the second sends the derivative with respect to those sums back
through each tile. The result is the gradient of the loss of the *whole* map, not of tiles that each imitate the
exemplar by themselves.

This module knows no pyramid, no optimiser and no job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.moments import mean
from backend.ops.style.features import ALIGNMENT_PX, Extractor, Layer
from backend.ops.style.losses import (
    OFFSETS,
    Formula,
    StyleLoss,
    Sums,
    add,
    balance,
    content_squares,
    layer_factor,
    variation_absolute,
    variation_keras,
)

DEAD_CHANNEL = 1e-3  # a channel this much weaker than the strongest is not amplified further


@dataclass(frozen=True)
class Tile:
    """Rows and columns [top, bottom) x [left, right) of the map, the halo included, and the core that this tile
    answers for."""

    top: int
    bottom: int
    left: int
    right: int
    core: tuple[int, int, int, int]  # top, bottom, left, right, in pixels of the map

    def cut(self, values: Tensor) -> Tensor:
        return values[..., self.top : self.bottom, self.left : self.right]


def tiles(height: int, width: int, side: int, halo: int) -> list[Tile]:
    """Cores that cover the map once; one tile without a halo where the map is not larger than a tile with its
    halo."""
    if max(height, width) <= side + 2 * halo:
        return [Tile(0, height, 0, width, (0, height, 0, width))]
    cut = []
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            cut.append(
                Tile(
                    max(0, top - halo),
                    min(height, bottom + halo),
                    max(0, left - halo),
                    min(width, right + halo),
                    (top, bottom, left, right),
                )
            )
    return cut


@dataclass(frozen=True)
class Scale:
    """How a layer's channels are normalised before they are measured: (features - offset) * factor, each [1, C,
    1, 1]."""

    offset: Tensor
    factor: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (features - self.offset) * self.factor


@dataclass(frozen=True)
class Population:
    """The part of the map that follows one group of exemplars. weight: [1, 1, H, W] or None for everywhere."""

    weight: Tensor | None
    share: float
    scales: dict[str, Scale]  # by style layer
    targets: dict[str, Tensor]  # by style layer
    content: Tensor | None  # [1, C, 1, 1] factor on the content layer's channels


class Objective:
    """Loss of one map size. Heights arrive scaled so that the exemplars span 0..1.

    exemplars: [1, 1, h, w] each. class_weights: None (all exemplars are one population) or [1, E, H, W], the
    part of each exemplar at each pixel. content: [1, 1, H, W], the layout to keep. style, content_weight,
    variation: factors on the formula's own weights.
    """

    def __init__(
        self,
        extractor: Extractor,
        loss: StyleLoss,
        formula: Formula,
        exemplars: Sequence[Tensor],
        content: Tensor,
        class_weights: Tensor | None = None,
        *,
        style: float = 1.0,
        content_weight: float = 1.0,
        variation: float = 0.0,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.extractor, self.loss, self.formula, self.between = extractor, loss, formula, between
        self.layers = {layer.name: layer for layer in (*extractor.style, extractor.content)}
        self.style_names = [layer.name for layer in extractor.style]
        self.content_name = extractor.content.name if content_weight > 0 else None
        shift = max(max(down, abs(right)) for down, right in OFFSETS) * max(layer.stride for layer in extractor.style)
        self.halo = extractor.halo_px + (-(-shift // ALIGNMENT_PX) * ALIGNMENT_PX if loss.name == "spatial" else 0)
        self.tiles = tiles(content.shape[2], content.shape[3], extractor.tile_px, self.halo)
        groups = [list(exemplars)] if class_weights is None else [[exemplar] for exemplar in exemplars]
        self.populations = [
            self._population(group, None if class_weights is None else class_weights[:, index : index + 1])
            for index, group in enumerate(groups)
        ]
        self.content_targets = self._content_features(content)
        values = sum(int(target.numel()) for target in self.content_targets) or 1
        if len(self.tiles) > 1 and self.content_targets:  # tiles overlap: count what the cores hold
            stride = extractor.content.stride
            values = (
                self.content_targets[0].shape[1]
                * max(1, content.shape[2] // stride)
                * max(1, content.shape[3] // stride)
            )
        pixels = int(content.shape[2] * content.shape[3])
        factors = balance(formula, pixels, values)
        self.content_factor = factors[0] * content_weight
        self.style_factor = factors[1] * style / len(self.style_names)
        self.variation_factor = factors[2] * variation

    def value_and_gradient(self, relief: Tensor) -> tuple[float, Tensor]:
        """relief: [1, 1, H, W], scaled. Returns the loss and its gradient, [1, 1, H, W]."""
        if len(self.tiles) == 1:
            leaf = relief.detach().requires_grad_()
            features = self.extractor(leaf, self._names())
            loss = self._style(self._sums(features, self.tiles[0], relief.shape)) + self._local(
                leaf, features, 0, relief.shape
            )
            return float(loss.detach()), torch.autograd.grad(loss, leaf)[0]
        value, slopes = self._whole(relief)
        gradient = torch.zeros_like(relief)
        for index, tile in enumerate(self.tiles):
            self.between()
            leaf = tile.cut(relief).detach().requires_grad_()
            features = self.extractor(leaf, self._names())
            local = self._local(leaf, features, index, relief.shape)
            value += float(local.detach())
            sums = self._sums(features, tile, relief.shape)
            statistic = torch.stack(
                [(part.total * slope).sum(1).sum(0) for part, slope in zip(sums, slopes, strict=True)]
            ).sum()
            tile.cut(gradient).add_(torch.autograd.grad(local + statistic, leaf)[0])
        return value, gradient

    def _whole(self, relief: Tensor) -> tuple[float, list[Tensor]]:
        """First pass: the style loss of the whole map, and its derivative with respect to each of its sums."""
        whole: list[Sums] | None = None
        with torch.no_grad():
            for tile in self.tiles:
                self.between()
                part = self._sums(self.extractor(tile.cut(relief), self.style_names), tile, relief.shape)
                whole = part if whole is None else [add(left, right) for left, right in zip(whole, part, strict=True)]
        assert whole is not None, "a map has at least one tile"
        leaves = [Sums(sums.total.requires_grad_(), sums.mass) for sums in whole]
        loss = self._style(leaves)
        return float(loss.detach()), list(torch.autograd.grad(loss, [sums.total for sums in leaves]))

    def _names(self) -> list[str]:
        return self.style_names + ([self.content_name] if self.content_name else [])

    def _sums(self, features: dict[str, Tensor], tile: Tile, shape: torch.Size) -> list[Sums]:
        """One Sums for each population and style layer, in that order."""
        found = []
        for population in self.populations:
            for name in self.style_names:
                weight = _position_weight(features[name], self.layers[name], tile, shape, population.weight)
                found.append(self.loss.measure(population.scales[name](features[name]), weight))
        return found

    def _style(self, sums: Sequence[Sums]) -> Tensor:
        """Weighted mean over layers, summed over populations by their share of the map."""
        parts = iter(sums)
        terms = []
        for population in self.populations:
            for name in self.style_names:
                part, target = next(parts), population.targets[name]
                area = self.layers[name].stride ** 2
                factor = layer_factor(self.formula, self.loss, target.shape[0], area)
                terms.append(self.loss.distance(part.mean(), target) * (factor * population.share * self.style_factor))
        return torch.stack(terms).sum()

    def _local(self, relief: Tensor, features: dict[str, Tensor], index: int, shape: torch.Size) -> Tensor:
        """Content and variation of the tile's core: what needs no statistic."""
        tile = self.tiles[index]
        loss = relief.new_zeros(())
        if self.content_name:
            scaled = self._content_scale(features[self.content_name])
            weight = _position_weight(scaled, self.layers[self.content_name], tile, shape, None)
            loss = loss + self.content_factor * content_squares(scaled, self.content_targets[index], weight)
        if self.variation_factor > 0:
            measure = variation_keras if self.formula.sums else variation_absolute
            weight = _position_weight(relief, Layer("", 1, 0), tile, shape, None)
            loss = loss + self.variation_factor * measure(relief * self.formula.image_scale, weight)
        return loss

    def _content_scale(self, features: Tensor) -> Tensor:
        return features * torch.stack([p.content for p in self.populations if p.content is not None]).mean(0)

    def _content_features(self, content: Tensor) -> list[Tensor]:
        if self.content_name is None:
            return []
        with torch.no_grad():
            return [
                self._content_scale(self.extractor(tile.cut(content), [self.content_name])[self.content_name])
                for tile in self.tiles
            ]

    def _population(self, exemplars: Sequence[Tensor], weight: Tensor | None) -> Population:
        scales, content = self._scales(exemplars)
        totals: dict[str, Sums] = {}
        for _, tile, shape, features in self._parts(exemplars, self.style_names):
            for name, values in features.items():
                positions = _position_weight(values, self.layers[name], tile, shape, None)
                totals[name] = add(totals.get(name), self.loss.measure(scales[name](values), positions))
        share = 1.0 if weight is None else mean(weight)
        return Population(weight, share, scales, {name: sums.mean() for name, sums in totals.items()}, content)

    def _scales(self, exemplars: Sequence[Tensor]) -> tuple[dict[str, Scale], Tensor | None]:
        """Each channel's normalisation, from the exemplars alone: of the style layers, and the factor of the
        content layer."""
        low: dict[str, Tensor] = {}
        high: dict[str, Tensor] = {}
        squares: dict[str, Tensor] = {}
        count: dict[str, int] = {}
        for _, _, _, features in self._parts(exemplars, self._names()):
            for name, values in features.items():
                values = values.transpose(0, 1).flatten(1)
                low[name] = torch.minimum(low.get(name, values.amin(1)), values.amin(1))
                high[name] = torch.maximum(high.get(name, values.amax(1)), values.amax(1))
                squares[name] = squares.get(name, 0) + values.square().sum(1)
                count[name] = count.get(name, 0) + values.shape[1]
        ranged = self.loss.scale == "range"
        scales = {
            name: Scale(_channels(low[name]), _channels(1.0 / _alive(high[name] - low[name])))
            if ranged
            else Scale(_channels(torch.zeros_like(low[name])), self._factor(squares[name] / count[name]))
            for name in self.style_names
        }
        name = self.content_name
        return scales, None if name is None else self._factor(squares[name] / count[name])

    def _factor(self, mean_square: Tensor) -> Tensor:  # [C] -> [1, C, 1, 1]
        if self.formula.relative:
            return _channels(1.0 / _alive(mean_square.sqrt()))
        return _channels(torch.full_like(mean_square, self.formula.feature_scale))

    def _parts(
        self, exemplars: Sequence[Tensor], names: Sequence[str]
    ) -> Iterator[tuple[Tensor, Tile, torch.Size, dict[str, Tensor]]]:
        """Features of every tile of every exemplar, without a graph."""
        for exemplar in exemplars:
            for tile in tiles(exemplar.shape[2], exemplar.shape[3], self.extractor.tile_px, self.halo):
                self.between()
                with torch.no_grad():
                    yield exemplar, tile, exemplar.shape, self.extractor(tile.cut(exemplar), names)


def _channels(values: Tensor) -> Tensor:
    return values.reshape(1, -1, 1, 1)


def _alive(unit: Tensor) -> Tensor:
    """A positive unit for every channel; channels that the exemplar hardly uses share that of the strongest,
    times DEAD_CHANNEL."""
    return torch.maximum(unit, unit.max() * DEAD_CHANNEL).clamp_min(1e-12)


def _position_weight(
    features: Tensor, layer: Layer, tile: Tile, shape: torch.Size, class_weight: Tensor | None
) -> Tensor:
    """[1, 1, h, w]: 1 where a feature lies in the tile's core and far enough from the map's border, times the
    class's weight."""
    rows = _inside(features.shape[2], tile.top, tile.core[0], tile.core[1], shape[2], layer, features)
    columns = _inside(features.shape[3], tile.left, tile.core[2], tile.core[3], shape[3], layer, features)
    weight = (rows[:, None] * columns[None, :])[None, None]
    if class_weight is None:
        return weight
    return weight * F.interpolate(tile.cut(class_weight), size=features.shape[2:], mode="area")


def _inside(count: int, start: int, first: int, end: int, extent: int, layer: Layer, like: Tensor) -> Tensor:
    """[count]: whether feature j, at pixel start + j * stride, is in [first, end) and `margin` features from 0
    and extent."""
    place = start + torch.arange(count, device=like.device) * layer.stride
    margin = layer.margin * layer.stride
    inside = (place >= max(first, margin)) & (place < min(end, extent - margin))
    return inside.to(like.dtype)
