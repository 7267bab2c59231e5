"""Refinement of a texture by descent on its losses, as NeuralTexGen does it: Adam on a hierarchical texture, gradients summed
over all photographs.

scan_texture.py calls refine() after its solve, on request. "refine" starts at the solved texture; a pixel's part in a loss
is its weight and nothing else; a step may take a few photographs instead of all; pixels may be areas, as they
are to the solver. "original" is the published program: from an even grey, points, its own losses (coverage weighs,
gradients are not masked, each level is sampled by itself), 60 steps in 60 passes. Its sampler drew photographs with
replacement, missing a third of them in each pass, which was an error: all are taken.

Photographs are streamed: memory is the texture's (levels, gradients and Adam's two moments), whatever their number. It
knows no file and no camera; weights of VGG-19 come from job.weights().
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.scan.refinement_settings import RefinementSettings, View, Views
from backend.models.vgg19 import Vgg19
from backend.ops.style.features import VggFeatures
from backend.ops.surface.seams import SeamRows
from backend.ops.texels import hierarchical as hierarchy
from backend.ops.texels import losses
from backend.ops.texels.problem import Seams
from backend.ops.texels.pyramid import choose_levels, default_levels
from backend.ops.texels.sampling import Layout, gather, layout_of, pack, scatter
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from backend.runtime.context import JobContext

BETAS = (0.5, 0.999)
EPSILON = 1e-15  # of Adam: gradients are means over all pixels, far below torch's 1e-8, which would slow it down
ORIGINAL_EPSILON = 1e-8
TIE = 1.0  # of a seam's row at strength 1, beside a colour loss of 10: measured, so that steps across seams are those inside

Look = Callable[[Callable[[], np.ndarray]], None]  # given a function that makes the current texture


def refine(
    texture: np.ndarray,  # [3, S, S] float32 0..1
    views: Views,
    photographs: int,
    settings: RefinementSettings,
    job: JobContext,
    *,
    done: int = 0,
    total: int | None = None,
    step: Callable[[int, int, str], None] | None = None,
    seams: SeamRows | Seams | None = None,
    look: Look | None = None,
) -> np.ndarray:
    """The texture after all epochs, or after the one in which somebody asked to finish early; [3, S, S] float32 0..1.

    done, total: steps of the whole job behind us and in all, for its progress; a photograph in an epoch is one step. step: is
    told them, and the stage, instead of job.step. seams: places that carry one colour; only their UVs and weights are looked
    at. Raises InvalidInput where VGG-19's weights are asked for and not there, or no pixel has any weight; JobCancelled.
    """
    refinement = Refinement(texture, photographs, settings, job, seams)
    epochs = settings.epochs + settings.decay_epochs
    total = done + epochs * photographs if total is None else total
    step = step or job.step
    while refinement.epoch < epochs:
        stage = stage_of(refinement.epoch, epochs)
        seen = done + refinement.epoch * photographs

        def advance(count: int, seen: int = seen, stage: str = stage) -> None:
            step(seen + count, total, stage)

        refinement.run_epoch(views, advance)
        if look is not None:
            look(refinement.texture)
        if job.finish_early:
            break
    return refinement.texture()


def stage_of(epoch: int, epochs: int) -> str:
    """The progress text of an epoch, counted from 0."""
    return f"refining, pass {min(epoch + 1, epochs)} of {epochs}"


class Refinement:
    """A refinement under way: the texture's levels, the optimiser and how many epochs are behind it.

    Stopped after any epoch, saved by state() and taken up by restore(), it ends in the same bytes as one that was not
    stopped.
    """

    def __init__(
        self,
        texture: np.ndarray,
        photographs: int,
        settings: RefinementSettings,
        job: JobContext,
        seams: SeamRows | Seams | None = None,
    ) -> None:
        self.settings, self.photographs, self.job = settings, photographs, job
        self.size, self.epoch = texture.shape[-1], 0
        if settings.mode == "original":
            self.levels = hierarchy.zeros(self.size, settings.levels, job.device)
            self.layout = layout_of(self.size, settings.levels)
        else:
            start = torch.as_tensor(texture, dtype=torch.float32).to(job.device) * 2 - 1
            self.levels = [level.contiguous() for level in hierarchy.split(start, settings.levels)]
            self.layout = layout_of(self.size, default_levels(self.size) + 1 if settings.area else 1)
        for level in self.levels:
            level.requires_grad_()
        self.level_weights = settings.level_weights or hierarchy.level_weights(len(self.levels))
        epsilon = ORIGINAL_EPSILON if settings.mode == "original" else EPSILON
        self.optimiser = torch.optim.Adam(self.levels, lr=settings.rate, betas=BETAS, eps=epsilon, fused=True)
        self.features = load_features(settings, job) if settings.needs_features else None
        self.ties: tuple[Tensor, ...] = ()
        if seams is not None and len(seams.weight) and settings.seams > 0 and settings.mode != "original":
            self.ties = tuple(torch.as_tensor(x).to(job.device) for x in (seams.uv_a, seams.uv_b, seams.weight))

    def run_epoch(self, views: Views, advance: Callable[[int], None] | None = None) -> float:
        """One pass over all photographs; the mean loss on the way, without the regulariser. advance: called with how many of them
        are behind us."""
        settings = self.settings
        advance = advance or (lambda count: None)
        rate = settings.rate * rate_factor(self.epoch, settings.epochs, settings.decay_epochs)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        size = settings.batch if settings.mode != "original" else 0
        order = list(range(self.photographs))
        if 0 < size < self.photographs:
            order = torch.randperm(self.photographs, generator=self.job.generator).tolist()
        size = size or self.photographs
        loss = mass = 0.0
        for first in range(0, self.photographs, size):
            batch = order[first : first + size]
            sums = self._step(views, batch, lambda count, first=first: advance(first + count))
            loss, mass = loss + sums[0], mass + sums[1]
        if mass <= 0:
            raise InvalidInput("None of the photographs shows the mesh: there is nothing to refine the texture with.")
        self.epoch += 1
        return loss / mass

    def texture(self) -> np.ndarray:
        """[3, S, S] float32 0..1, as it stands."""
        with torch.no_grad():
            return ((hierarchy.compose(self.levels) + 1) / 2).clamp(0, 1).cpu().numpy()

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, as tensors and numbers that later epochs leave alone."""
        return {
            "epoch": self.epoch,
            "levels": [level.detach().clone() for level in self.levels],
            "optimiser": _copied(self.optimiser.state_dict()),
            "generator": self.job.generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where state() was taken; the settings and the photographs must be those of then."""
        self.epoch = state["epoch"]
        with torch.no_grad():
            for level, saved in zip(self.levels, state["levels"], strict=True):
                level.copy_(saved)
        self.optimiser.load_state_dict(_copied(state["optimiser"]))
        self.job.generator.set_state(state["generator"])

    def _step(self, views: Views, batch: Sequence[int], advance: Callable[[int], None]) -> tuple[float, float]:
        """One step on a batch of photographs: the sum of their losses, and what to divide it by."""
        texels = self._texels()
        shown, gradient = texels.detach(), torch.zeros_like(texels)
        loss, mass = (texels.new_zeros((), dtype=torch.float64) for _ in range(2))  # read once per step
        done, before = -1, None
        for view in views(batch):
            done, before = done + (view.photograph != before), view.photograph
            advance(done)
            sums = self._add_view(shown, gradient, view)
            loss, mass = loss + sums[0], mass + sums[1]
        loss, mass = float(loss), float(mass)
        advance(len(batch))
        if mass <= 0:
            return 0.0, 0.0
        if self.ties:
            self._add_ties(shown, gradient, mass)
        self.optimiser.zero_grad()
        original = self.settings.mode == "original"
        texels.backward(gradient if original else gradient / mass)
        times = len(batch) if original else 1  # the original adds its regulariser to every photograph's loss
        hierarchy.add_energy_gradient(self.levels, self.level_weights, times * self.settings.regularization)
        self.optimiser.step()
        return loss, mass

    def _texels(self) -> Tensor:
        """What views are sampled from, differentiable in the levels: the levels themselves, or the mips of their sum."""
        if self.settings.mode == "original":
            return pack(self.levels)
        return pack(hierarchy.mips(hierarchy.compose(self.levels), len(self.layout.sizes)))

    def _add_view(self, texels: Tensor, gradient: Tensor, view: View) -> tuple[Tensor, Tensor | float]:
        """Add a view's gradient; the sum of its losses and of its weights (original: its loss, and 1)."""
        settings, features = self.settings, self.features
        uv, level, weight = place_view(view, self.layout, settings, texels.device)
        target = view.colors.to(texels) * 2 - 1
        rendered = gather(texels, self.layout, uv, level).requires_grad_()
        if settings.mode == "original":
            loss = losses.original_losses(rendered, target, weight > 0, settings.losses)
            if features is not None:
                loss = loss + losses.original_perceptual_losses(features, rendered, target, weight > 0, settings.losses)
            slope, mass = _slope(loss, rendered), 1.0
        else:
            if features is None:
                target = torch.where((weight > 0)[..., None], target, 0.0)
            loss = losses.pixel_losses(rendered, target, weight, settings.losses, settings.penalty, settings.knee)
            slope, mass = _slope(loss, rendered), weight.sum(dtype=torch.float64)
            if features is not None:
                loss = loss.detach() + self._add_features(features, slope, rendered.detach(), target, weight)
        scatter(gradient, self.layout, uv, level, slope)
        return loss.detach().to(torch.float64), mass

    def _add_ties(self, texels: Tensor, gradient: Tensor, mass: float) -> None:
        """Add the gradient of the seams' rows: as strong, a texel's length, as all that photographs say of a texel they see."""
        size, settings = self.size, self.settings
        seen = max(
            int(torch.count_nonzero(gradient[start:end].any(dim=1))) * (size / side) ** 2
            for side, start, end in zip(self.layout.sizes, self.layout.offsets, self.layout.offsets[1:], strict=False)
        )
        uv_a, uv_b, weight = self.ties
        finest = torch.zeros_like(weight)
        difference = gather(texels, self.layout, uv_a, finest) - gather(texels, self.layout, uv_b, finest)
        difference.requires_grad_()
        strength = TIE * settings.seams * mass / max(seen, 1.0)
        loss = strength * (weight * losses.penalized(difference, settings.penalty, settings.knee).mean(-1)).sum()
        slope = _slope(loss, difference)
        scatter(gradient, self.layout, uv_a, finest, slope)
        scatter(gradient, self.layout, uv_b, finest, -slope)

    def _add_features(
        self, features: losses.Features, slope: Tensor, rendered: Tensor, target: Tensor, weight: Tensor
    ) -> Tensor:
        """Add the gradient of the perceptual losses to slope [H, W, 3], tile by tile, in place; their sum."""
        total = rendered.new_zeros(())
        for tile in losses.perceptual_tiles(weight):
            part = rendered[tile].clone().requires_grad_()
            loss = losses.perceptual_losses(features, part, target[tile], weight[tile], self.settings.losses)
            slope[tile] += _slope(loss, part)
            total = total + loss.detach()
        return total


def place_view(
    view: View, layout: Layout, settings: RefinementSettings, device: torch.device
) -> tuple[Tensor, Tensor | None, Tensor]:
    """UVs [h, W, 2], levels [h, W] or None, and weights [h, W] of a view's pixels, on the device.

    original: pixels without a surface look at the texture's upper left corner, u = 0 and v = 1, as the published code has it.
    """
    uv = view.uv.to(device, torch.float32)
    seen = ~uv.isnan().any(dim=-1)
    weight = torch.where(seen, view.weight.to(device, torch.float32), 0.0)
    if settings.mode == "original":
        corner = torch.tensor([0.0, 1.0], device=device)
        return torch.where((weight > 0)[..., None], uv, corner), None, weight
    uv = torch.where((weight > 0)[..., None], uv, torch.nan)
    if not settings.area:
        return uv, None, weight
    if view.footprint is None:
        return uv, torch.zeros_like(weight), weight
    footprint = torch.where(weight > 0, view.footprint.to(device, torch.float32), 0.0)
    finer, share = choose_levels(footprint, layout.sizes[0], len(layout.sizes) - 1)
    return uv, finer + share, weight


def rate_factor(epoch: int, epochs: int, decay_epochs: int) -> float:
    """The learning rate's factor in an epoch, counted from 0: 1 for `epochs`, then falling linearly, never quite to 0.

    NeuralTexGen's "lambda" policy: 1 - max(0, epoch + 1 - epochs) / (decay_epochs + 1).
    """
    return 1.0 - max(0, epoch + 1 - epochs) / (decay_epochs + 1)


def load_features(settings: RefinementSettings, job: JobContext) -> losses.Features:
    """VGG-19 with the user's weights. Raises InvalidInput where they are not on this machine and not to be fetched."""
    network = Vgg19(losses.DEEPEST_LAYER, padding="replicate")
    network.load_torchvision(job.weights("vgg19", fetch=settings.download_weights))
    return VggFeatures(network, job.device)


def _slope(loss: Tensor, rendered: Tensor) -> Tensor:
    """The gradient of a loss in what was rendered; zeros where the loss does not depend on it."""
    if not loss.requires_grad:
        return torch.zeros_like(rendered)
    return torch.autograd.grad(loss, rendered)[0].contiguous()


def _copied(state: Any) -> Any:
    """A deep copy of an optimiser's state: nested dictionaries, lists, tensors and numbers."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: _copied(value) for name, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state
