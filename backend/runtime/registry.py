"""From an algorithm's name to its declaration and, on first use, to its code.

Other packages add engines without touching this one: RELIEVO_EXTRA_ALGORITHMS (shared/catalog/extra.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from shared.algorithm import AlgorithmSpec, find
from shared.catalog import algorithms, extra

__all__ = ["Implementation", "algorithms", "find_algorithm", "implementation"]

Implementation = Callable[..., Mapping[str, Any]]


def find_algorithm(name: str) -> AlgorithmSpec:
    """The declaration of that name; UnknownAlgorithm, with the nearest name, where there is none."""
    return find(algorithms(), name)


def implementation(name: str) -> Implementation:
    """The code behind a declaration. Importing it may take seconds (torch) the first time."""
    spec = find_algorithm(name)
    for module in extra.modules():
        if name in module.IMPLEMENTATIONS:
            path, _, function = module.IMPLEMENTATIONS[name].partition(":")
            return getattr(importlib.import_module(path), function)
    return importlib.import_module(f"backend.algorithms.{spec.name.replace('-', '_')}").run
