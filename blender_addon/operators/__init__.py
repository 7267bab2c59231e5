"""What a person or a script can ask for: thin operators over session and pump, one file a subject."""

from __future__ import annotations

from . import (
    assets,
    backend,
    cameras,
    curves,
    engines,
    inputs,
    jobs,
    paintings,
    regions,
    results,
    scattering,
    scene,
    sketches,
    unwrapping,
    variations,
    wearing,
)

MODULES = (
    assets,
    backend,
    cameras,
    curves,
    engines,
    inputs,
    jobs,
    paintings,
    regions,
    results,
    scattering,
    scene,
    sketches,
    unwrapping,
    variations,
    wearing,
)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
