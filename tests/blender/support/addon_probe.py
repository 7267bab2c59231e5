"""The probe engines of tests/ as the add-on knows them: the same modules, over the add-on's copy of shared/."""

from __future__ import annotations

from blender_addon.shared.catalog import extra

PROBE = extra.load("tests.support.probe_algorithms").SPECS[0]
TEXTURE_PROBE = extra.load("tests.support.texture_probe_algorithms").SPECS[0]
EXTRA_ALGORITHMS = "tests.support.probe_algorithms,tests.support.texture_probe_algorithms"
