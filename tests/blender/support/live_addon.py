"""The add-on registered in this very process, with a backend of the checkout: for tests that press its buttons and wait.

installed_addon.py has the other way, the zip in a Blender of its own. Not a pytest file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import blender_addon
from blender_addon import pump

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


@contextmanager
def environment(*, threads: int = 1, extra_algorithms: str = "", **more: str) -> Iterator[None]:
    """The checkout's own backend instead of an installed one. extra_algorithms: as RELIEVO_EXTRA_ALGORITHMS takes them."""
    names = {
        "RELIEVO_PYTHON": str(ROOT / ".venv/bin/python"),
        "RELIEVO_SOURCE": str(ROOT),
        "RELIEVO_THREADS": str(threads),
        **({"RELIEVO_EXTRA_ALGORITHMS": extra_algorithms} if extra_algorithms else {}),
        **more,
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def registered(data: Path, *, threads: int = 1, extra_algorithms: str = "") -> Iterator[ModuleType]:
    """The add-on; its own process manager starts the backend at the first job. data: its data folder."""
    with environment(threads=threads, extra_algorithms=extra_algorithms, RELIEVO_DATA=str(data)):
        blender_addon.register()
        yield blender_addon
        blender_addon.unregister()


def discard_jobs() -> None:
    """What an earlier test has left in the session."""
    for job in list(pump.session().jobs.values()):
        pump.session().discard(job)


def step_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}: {pump.session().standing}"
        pump.step()
        time.sleep(0.01)
