"""The table of kernels against what engines ask numba for: one that is missing is compiled late, one too many for nothing."""

from __future__ import annotations

import pytest

from backend.runtime import registry
from backend.runtime.kernel_compiler import table
from backend.setup.kernel_table import key_of, run

ENGINES = sorted({engine for entry in table() for engine in entry.engines})


@pytest.mark.parametrize("engine", ENGINES)
def test_the_table_lists_what_an_engine_asks_for(engine: str) -> None:
    asked = {key_of(row) for row in run("--asked", engine)}
    listed = {
        (entry.kernel.module, entry.kernel.function, entry.kernel.signature)
        for entry in table()
        if engine in entry.engines
    }
    assert asked == listed, "python -m backend.setup.kernel_table writes the table again"


def test_every_engine_that_can_be_tried_has_its_kernels_in_the_table() -> None:
    assert set(ENGINES) == {spec.name for spec in registry.algorithms()}
