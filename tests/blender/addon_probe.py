"""The probe engine of tests/probe_algorithms.py as the add-on knows it:

the same source, over the add-on's copy of shared/.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1] / "probe_algorithms.py"


def _load() -> types.ModuleType:
    module = types.ModuleType("tests_blender_probe")
    sys.modules[module.__name__] = module  # dataclasses look their module up by name
    text = _SOURCE.read_text(encoding="utf-8").replace("from shared.", "from blender_addon.shared.")
    exec(compile(text, str(_SOURCE), "exec"), module.__dict__)
    return module


PROBE = _load().PROBE
EXTRA_ALGORITHMS = "tests.probe_algorithms"
