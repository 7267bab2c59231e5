"""What an engine found out, as JSON that a person can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.files.kinds import Writing
from backend.files.whole_files import write_bytes
from shared.arrays import Array


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    write_bytes(path, readable_json(json.loads(array.values.tobytes())).encode())
    return {path.name: {}}


def readable_json(content: Any) -> str:
    """A line per key, and a line per entry in lists of objects, so that each photograph has one."""
    if not isinstance(content, dict):
        return json.dumps(content, ensure_ascii=False) + "\n"
    lines = []
    for key, value in content.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value and all(isinstance(item, (dict, str)) for item in value):
            rows = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(key, ensure_ascii=False)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
