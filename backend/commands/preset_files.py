"""What --preset names: settings that an engine declares, or a JSON file of a user's own.

Such a file names settings with their values; "preset" names the declared one that the others are taken from. Text that is JSON may
stand there as JSON. Values are checked with all others by shared/params.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.algorithm import AlgorithmSpec
from shared.errors import InvalidInput
from shared.params import with_role
from shared.read_files import MIB, parse_json, read_text

FIELD = "preset"
ENDING = ".json"


def values(spec: AlgorithmSpec, name: str) -> dict[str, Any]:
    """The values of a preset, or of a file whose name ends in .json. Raises InvalidInput."""
    if not name.lower().endswith(ENDING):
        return dict(spec.preset(name).values)
    try:
        content = parse_json(read_text(Path(name), field=FIELD, most=MIB), deepest=8)
    except ValueError as error:
        raise InvalidInput(f"{name} is not JSON ({str(error).rstrip('.')}).", field=FIELD) from error
    if not isinstance(content, dict):
        raise InvalidInput(
            f"{name} is not a preset: it must be a JSON object of settings and their values.",
            hint=f"relievo.py run {spec.name} --dry-run shows all of them under params.",
            field=FIELD,
        )
    base = content.pop("preset", "")
    if not isinstance(base, str):
        raise InvalidInput(f"{name} has the preset {base!r}; it must be the name of one.", field=FIELD)
    for parameter in with_role(spec.parameters, "json"):
        if isinstance(content.get(parameter.name), dict):
            content[parameter.name] = json.dumps(content[parameter.name])
    return {**(spec.preset(base).values if base else {}), **content}
