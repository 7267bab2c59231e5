"""How an operator says what went wrong: the sentence and what to do, in Blender's status bar and as Python's exception."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import bpy

from ..shared.errors import RelievoError


def reports_errors(
    execute: Callable[[Any, bpy.types.Context], set[str]],
) -> Callable[[Any, bpy.types.Context], set[str]]:
    """For execute(): a RelievoError becomes a report and {"CANCELLED"}; to a script Blender raises it as RuntimeError."""

    @wraps(execute)
    def reporting(self: bpy.types.Operator, context: bpy.types.Context) -> set[str]:
        try:
            return execute(self, context)
        except RelievoError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    return reporting
