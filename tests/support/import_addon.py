"""Imports every module of a staged add-on under fake-bpy-module's declarations; a program of its own, for any Python.

    python import_addon.py DECLARATIONS ADDON MAJOR.MINOR.PATCH

Prints JSON: {"python": …, "imported": [modules], "failed": {module: what went wrong}}. It also evaluates the annotations of every
class, as Blender does with those of a class that is registered. Standard library only.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
import typing
from pathlib import Path


def main(declarations: Path, addon: Path, blender: str) -> int:
    import fake_bpy  # beside this program

    sys.dont_write_bytecode = True
    major, minor, patch = (int(part) for part in blender.split("."))
    fake_bpy.install(declarations, (major, minor, patch))
    sys.path.insert(0, str(addon.parent))
    imported, failed = [], {}
    for name in modules(addon):
        try:
            check_annotations(importlib.import_module(name))
            imported.append(name)
        except Exception:
            failed[name] = traceback.format_exc()
    print(json.dumps({"python": sys.version.split()[0], "imported": imported, "failed": failed}))
    return 0


def modules(addon: Path) -> list[str]:
    """The dotted names of all modules of the add-on. payload/ is the backend's source, which Blender never imports."""
    found = []
    for path in sorted(addon.rglob("*.py")):
        parts = [addon.name, *path.relative_to(addon).with_suffix("").parts]
        if parts[1] != "payload":
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def check_annotations(module: typing.Any) -> None:
    """Raises where a class of the module is annotated with a name that is not there. Only what can be registered is looked at:
    elsewhere an annotation may name what is imported for type checkers alone.
    """
    for value in vars(module).values():
        of_blender = isinstance(value, type) and any(base.__module__.startswith("bpy") for base in value.__mro__)
        if of_blender and value.__module__ == module.__name__:
            typing.get_type_hints(value)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
