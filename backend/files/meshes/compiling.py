"""How the loops of mesh files are compiled: by numba, or not at all where it does not work or RELIEVO_IMPL=plain asks for that.

Python then runs the same functions as they stand: a mesh is read slowly, but it is read.
"""

from __future__ import annotations

from typing import Any

from backend.ops.dispatch import compiler_works, plain_only


def _interpreted(**_: Any) -> Any:
    return lambda function: function


def _compiler() -> Any:
    if plain_only() or not compiler_works():
        return _interpreted
    from numba import njit

    return njit


njit: Any = _compiler()
