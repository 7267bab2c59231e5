"""What repeats a result: algorithm, every parameter, versions, and digests of what went in. Kept beside files and on objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .algorithm import AlgorithmSpec, Arrays
from .errors import InvalidInput
from .params import to_json
from .version import VERSION

FORMAT = 1


def make_recipe(
    spec: AlgorithmSpec,
    params: Any,
    arrays: Arrays,
    *,
    device: str = "",
    sources: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    """A recipe as JSON. sources: the file or scene name of each input, in order, by port ("" where there is none)."""
    sources = sources or {}
    inputs = {
        port: [
            {
                "sha256": array.sha256,
                "kind": array.kind.name,
                "shape": list(array.values.shape),
                "pixel_size_m": array.attributes.get("pixel_size_m"),
                "source": name,
            }
            for array, name in zip(given, [*sources.get(port, []), *[""] * len(given)], strict=False)
        ]
        for port, given in arrays.items()
        if given
    }
    return {
        "format": FORMAT,
        "relievo": VERSION,
        "algorithm": spec.name,
        "algorithm_version": spec.version,
        "digest": spec.digest,
        "params": to_json(params),
        "inputs": inputs,
        "device": device,
    }


def check_recipe(recipe: Any) -> dict[str, Any]:
    """The recipe itself; InvalidInput where it is none, or of a later format."""
    if (
        not isinstance(recipe, dict)
        or not isinstance(recipe.get("algorithm"), str)
        or not isinstance(recipe.get("params"), dict)
    ):
        raise InvalidInput("This is not a Relievo recipe: it has no algorithm and parameters.", field="recipe")
    if not isinstance(recipe.get("format"), int) or recipe["format"] > FORMAT:
        raise InvalidInput(
            f"This recipe has format {recipe.get('format')!r}; this version reads up to {FORMAT}.",
            hint="Update Relievo.",
            field="recipe",
        )
    return recipe
