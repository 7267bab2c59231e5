"""The probe engines of tests/ as the add-on knows them: the same source, over the add-on's copy of shared/."""

from __future__ import annotations

import sys
import types
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "support"


def _load(name: str) -> types.ModuleType:
    module = types.ModuleType(f"tests_blender_{name}")
    sys.modules[module.__name__] = module  # dataclasses look their module up by name
    source = _FOLDER / f"{name}.py"
    text = source.read_text(encoding="utf-8").replace("from shared.", "from blender_addon.shared.")
    exec(compile(text, str(source), "exec"), module.__dict__)
    return module


PROBE = _load("probe_algorithms").PROBE
TEXTURE_PROBE = _load("texture_probe_algorithms").TEXTURE_PROBE
EXTRA_ALGORITHMS = "tests.support.probe_algorithms,tests.support.texture_probe_algorithms"
