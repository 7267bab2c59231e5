"""What every engine checks of a file of a model that the user has trained. Knows no job and no file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class UnknownModel(ValueError):
    """The file holds no model that the engine knows in this version; the text says what it is instead."""

    @classmethod
    def of_parts(cls, error: Exception) -> UnknownModel:
        """Of a file whose tensors are not those of the network that its header tells of."""
        return cls(f"its parts do not fit together ({str(error).partition(chr(10))[0]})")


def check_header(about: Mapping[str, Any], models: Collection[str], version: int, lacking: str) -> None:
    """Raises UnknownModel unless the header tells of one of the models, in the format `version`. lacking: "makes no textures"."""
    if about["model"] not in models:
        raise UnknownModel(f"it holds the model {about['model']!r}, which {lacking}")
    if about.get("format") != version:
        raise UnknownModel(f"it has the format {about.get('format')!r}, and this version of Relievo reads {version}")
