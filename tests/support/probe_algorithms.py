"""Declarations of two engines that exist to be watched, cancelled and killed; also an example of
RELIEVO_EXTRA_ALGORITHMS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import CLASS_MAP, HEIGHT_MAP
from shared.params import param


@dataclass(frozen=True, kw_only=True)
class ProbeParams:
    """What the probe does in each of its steps, and how it ends."""

    seed: int = param(
        0,
        label="Seed",
        help="Seed of the noise that is added.",
        min=0,
        max=2**31 - 1,
        role="seed",
    )
    noise: float = param(
        0.0, label="Noise", help="Standard deviation of the noise that is added.", min=0.0, max=100.0, unit="m"
    )
    steps: int = param(
        3,
        label="Steps",
        help="How often it reports.",
        min=1,
        max=100000,
        role="count",
    )
    step_s: float = param(0.0, label="Step", help="How long it sleeps in each step.", min=0.0, max=100.0, unit="s")
    ending: Literal["done", "error", "bad-output", "kill", "exit", "memory", "card-lost", "card-memory"] = param(
        "done", label="Ending", help="What happens after the last step."
    )
    deaf: bool = param(False, label="Deaf", help="Do not report, so that a cancel is not heard.")
    spin: bool = param(False, label="Spin", help="Keep every core busy in each step.")
    early: bool = param(False, label="Early", help="Finish early when asked to.")
    host: bool = param(False, label="Host", help="Use no graphics card.")


PROBE = AlgorithmSpec(
    name="probe",
    label="Probe",
    icon="GHOST_ENABLED",
    summary="Adds noise to its heights, slowly.",
    params=ProbeParams,
    number=1000,
    makes="terrain",
    devices=("cpu", "cuda"),
    devices_for=lambda params: ("cpu",) if params.host else ("cpu", "cuda"),
    inputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="heights to give back.", optional=True),
        Port(name="extra", kind=HEIGHT_MAP, label="Extra", help="heights to add.", optional=True, many=True),
        Port(name="classes", kind=CLASS_MAP, label="Classes", help="classes to give back.", optional=True),
    ),
    outputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="the heights with noise."),
        Port(name="classes", kind=CLASS_MAP, label="Classes", help="the classes, untouched.", optional=True),
    ),
)

SPECS = (PROBE,)
IMPLEMENTATIONS = {"probe": "tests.support.probe_compute:run"}
