"""From an algorithm's name to its declaration and, on first use, to its code.

Other packages add engines without touching this one: RELIEVO_EXTRA_ALGORITHMS (shared/catalog/extra.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from shared.algorithm import AlgorithmSpec, find
from shared.catalog import algorithms, extra
from shared.errors import DeclarationError

__all__ = ["Implementation", "algorithms", "find_algorithm", "implementation"]

Implementation = Callable[..., Mapping[str, Any]]


def find_algorithm(name: str) -> AlgorithmSpec:
    """The declaration of that name; UnknownAlgorithm, with the nearest name, where there is none."""
    return find(algorithms(), name)


def implementation(name: str) -> Implementation:
    """The code behind a declaration. Importing it may take seconds (torch) the first time.

    Raises DeclarationError where the engine's module is missing or has no run().
    """
    spec = find_algorithm(name)
    for module in extra.modules():
        if name in module.IMPLEMENTATIONS:
            path, _, function = module.IMPLEMENTATIONS[name].partition(":")
            return getattr(importlib.import_module(path), function)
    return code_of(f"backend.algorithms.{spec.name.replace('-', '_')}", spec)


def code_of(module: str, spec: AlgorithmSpec) -> Implementation:
    """run() of a module by its dotted name. Raises DeclarationError where there is none."""
    try:
        code = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        path = f"{module.replace('.', '/')}.py"
        raise DeclarationError(f"Engine {spec.name!r} has no code: {path} does not exist.") from error
    if not callable(getattr(code, "run", None)):
        raise DeclarationError(f"Engine {spec.name!r}: {module} has no function run(params, inputs, job).")
    return code.run
