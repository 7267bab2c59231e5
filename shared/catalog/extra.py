"""Engines of other packages: RELIEVO_EXTRA_ALGORITHMS names modules (comma between them), for backend and Blender alike.

Each module holds SPECS, a tuple of AlgorithmSpec, and IMPLEMENTATIONS, a mapping from an algorithm's name to "module:function"
with the signature run(params, inputs, job) -> outputs. It must import nothing heavy: the server, which has no torch, reads it,
and so does Blender. It says `from shared.algorithm import AlgorithmSpec`; inside Blender, where this package has another name,
that means this very package.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

from ..errors import BackendUnavailable, DeclarationError

EXTRA_ALGORITHMS = "RELIEVO_EXTRA_ALGORITHMS"
_NAME = "shared"  # what this package is called outside Blender
_HERE = __name__.rpartition(".catalog.")[0]


def modules() -> tuple[ModuleType, ...]:
    """The modules that the environment names now. Raises BackendUnavailable for one that cannot be used."""
    return _load_all(os.environ.get(EXTRA_ALGORITHMS, ""))


@cache
def _load_all(names: str) -> tuple[ModuleType, ...]:
    return tuple(load(name) for name in filter(None, (part.strip() for part in names.split(","))))


def load(name: str) -> ModuleType:
    """One such module, with SPECS of this package's own classes."""
    try:
        with _known_as_shared(name):
            module = importlib.import_module(name)
    except (ImportError, DeclarationError) as error:
        raise _unusable(name, str(error)) from error
    for attribute in ("SPECS", "IMPLEMENTATIONS"):
        if not hasattr(module, attribute):
            raise _unusable(name, f"it has no {attribute}")
    return module


@contextmanager
def _known_as_shared(name: str) -> Iterator[None]:
    """While the module of that name is imported, `shared` is this package, whatever this one is called."""
    if _HERE == _NAME:
        yield
        return
    for found in pkgutil.walk_packages(sys.modules[_HERE].__path__, f"{_HERE}."):
        importlib.import_module(found.name)
    others = {key: sys.modules.pop(key) for key in _below(_NAME)}
    for key in _below(name):
        del sys.modules[key]  # imported before with the other classes
    sys.modules.update({_NAME + key.removeprefix(_HERE): sys.modules[key] for key in _below(_HERE)})
    try:
        yield
    finally:
        for key in _below(_NAME):
            del sys.modules[key]
        sys.modules.update(others)


def _below(package: str) -> list[str]:
    return [key for key in sys.modules if key == package or key.startswith(f"{package}.")]


def _unusable(name: str, reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"{EXTRA_ALGORITHMS} names the module {name!r}, which cannot be used: {reason}.",
        hint="Correct the variable or unset it.",
        field=EXTRA_ALGORITHMS,
    )
