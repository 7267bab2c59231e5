"""Four throw-away engines, one for each form of result: what somebody who adds an engine has to write, and nothing else.

Each is a declaration in catalog/ and a run() in algorithms/, and a line in both tables below, as shared/catalog has one.
RELIEVO_EXTRA_ALGORITHMS=tests.support.toy_engines brings them into the backend.
"""

from __future__ import annotations

from tests.support.toy_engines.catalog import toy_maps, toy_material, toy_painting, toy_terrain

SPECS = (toy_terrain.SPEC, toy_material.SPEC, toy_painting.SPEC, toy_maps.SPEC)
IMPLEMENTATIONS = {spec.name: f"tests.support.toy_engines.algorithms.{spec.name}:run" for spec in SPECS}
