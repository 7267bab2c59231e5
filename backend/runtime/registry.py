"""From an algorithm's name to its declaration and, on first use, to its code.

Other packages add engines without touching this one: RELIEVO_EXTRA_ALGORITHMS names modules (comma between them) that
each hold SPECS, a tuple of AlgorithmSpec, and IMPLEMENTATIONS, a mapping from an algorithm's name to
"module:function" with the signature run(params, inputs, job) -> outputs. Such a module must import nothing heavy: the
server, which has no torch, reads it too.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from shared.algorithm import AlgorithmSpec, find
from shared.catalog import ALGORITHMS
from shared.errors import BackendUnavailable

EXTRA_ALGORITHMS = "RELIEVO_EXTRA_ALGORITHMS"

Implementation = Callable[..., Mapping[str, Any]]


def algorithms() -> tuple[AlgorithmSpec, ...]:
    """Every algorithm that this backend has: ours, then those of other packages."""
    return (*ALGORITHMS, *(spec for module in _extra_modules() for spec in module.SPECS))


def find_algorithm(name: str) -> AlgorithmSpec:
    """The declaration of that name; UnknownAlgorithm, with the nearest name, where there is none."""
    return find(algorithms(), name)


def implementation(name: str) -> Implementation:
    """The code behind a declaration. Importing it may take seconds (torch) the first time."""
    spec = find_algorithm(name)
    for module in _extra_modules():
        if name in module.IMPLEMENTATIONS:
            path, _, function = module.IMPLEMENTATIONS[name].partition(":")
            return getattr(importlib.import_module(path), function)
    return importlib.import_module(f"backend.algorithms.{spec.name.replace('-', '_')}").run


def _extra_modules() -> tuple[Any, ...]:
    return _import_modules(os.environ.get(EXTRA_ALGORITHMS, ""))


@cache
def _import_modules(names: str) -> tuple[Any, ...]:
    modules = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise _unusable(name, str(error)) from error
        for attribute in ("SPECS", "IMPLEMENTATIONS"):
            if not hasattr(module, attribute):
                raise _unusable(name, f"it has no {attribute}")
        modules.append(module)
    return tuple(modules)


def _unusable(name: str, reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"{EXTRA_ALGORITHMS} names the module {name!r}, which cannot be used: {reason}.",
        hint="Correct the variable or unset it.",
        field=EXTRA_ALGORITHMS,
    )
