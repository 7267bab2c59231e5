"""Which class a cluster is: the one that the rules of class_maps.py give most of its pixels, unless a person says otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.training.data import cielab, class_maps
from shared.errors import InvalidInput
from shared.params import suggestion
from shared.terrain_classes import TERRAIN_CLASSES, WATER

RULE_PX = 3.0  # over which the rules average slopes
BLUE, BRIGHT = -20.0 / 110.0, 0.4  # of water: most b, and most lightness, which ice in shadow has
NOTABLE = 0.02  # share of all pixels from which a class has to have a cluster
NAMES = tuple(entry.name for entry in TERRAIN_CLASSES)


def by_rules(height_m: Tensor, pixel_size_m: float, color: Tensor | None, sea_level_m: float, scale: str) -> np.ndarray:
    """Classes uint8 [H, W] of heights [H, W] and sRGB colours 0..1 [3, H, W], without blobs."""
    height = height_m[None, None]
    sea = (height <= sea_level_m).float()
    if scale == "continental" and color is not None:
        sea = torch.maximum(sea, _blue(color))
        found = class_maps.continental(height, color[None], sea, RULE_PX, 0.0)
    else:
        in_pixels = height / pixel_size_m
        found = class_maps.regional(in_pixels, class_maps.relative(in_pixels[0, 0])[None, None], RULE_PX, 0.0)
    found[sea[:, 0] > 0] = WATER
    return found[0].byte().numpy()


def _blue(color: Tensor) -> Tensor:
    """1 where a map from above is as blue as it draws lakes, [1, 1, H, W] of sRGB 0..1 [3, H, W]."""
    lightness, _, yellow = class_maps.blur(cielab.from_srgb(color[None]), 1.0).unbind(1)
    return ((yellow < BLUE) & (lightness < BRIGHT)).float()[None]


def named(votes: np.ndarray) -> np.ndarray:
    """The class of each cluster, of votes [clusters, classes]: pixels of each cluster by the rules' class.

    A class that many pixels have and that no cluster got takes the one in which it is strongest, of a class that has several.
    """
    names = votes.argmax(1)
    overall = votes.sum(0) / max(votes.sum(), 1)
    for missing in np.argsort(-overall):
        if overall[missing] < NOTABLE or missing in names:
            continue
        shares = votes[:, missing] / np.maximum(votes.sum(1), 1)
        for cluster in np.argsort(-shares):
            if (names == names[cluster]).sum() > 1:
                names[cluster] = missing
                break
    return names


def read(path: Path) -> Mapping[str, Mapping[int, int]]:
    """Scale -> cluster -> class, of a clusters.json that a person has edited. Raises InvalidInput."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            scale: {int(entry["cluster"]): _number(path, entry["class"]) for entry in entries}
            for scale, entries in document.items()
        }
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no {path}.", hint="A pack has one: clusters.json.", field="names") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{path} is not a clusters.json as a pack has one: {error}.",
            hint="Copy the one of a pack and change the classes in it.",
            field="names",
        ) from error


def _number(path: Path, name: str) -> int:
    if name not in NAMES:
        raise InvalidInput(f"{path}: there is no class {name!r}.", hint=suggestion(str(name), NAMES), field="names")
    return NAMES.index(name)
