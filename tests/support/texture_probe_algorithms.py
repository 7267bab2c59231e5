"""Declaration of an engine that makes textures out of nothing, as slowly as a test wants them: to be placed, watched and kept."""

from __future__ import annotations

from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import COUNT_MAP, MASK, MESH, REPORT, TEXTURE
from shared.params import param


@dataclass(frozen=True, kw_only=True)
class TextureProbeParams:
    """What its texture is like, and how it is made."""

    seed: int = param(0, label="Seed", help="Seed of the texture's colours.", min=0, max=2**31 - 1)
    size: int = param(16, label="Size", help="Side of the texture.", min=2, max=4096, unit="px")
    tiles: int = param(1, label="Tiles", help="How many UDIM tiles, from 1001 on.", min=1, max=10)
    steps: int = param(1, label="Steps", help="How often it shows a preview, each finer than the one before.", min=1)
    step_s: float = param(0.0, label="Step", help="How long it sleeps in each step.", min=0.0, max=100.0, unit="s")
    unwraps: bool = param(False, label="Unwraps", help="Give the mesh back with new UVs.")


TEXTURE_PROBE = AlgorithmSpec(
    name="texture_probe",
    label="Texture Probe",
    icon="GHOST_ENABLED",
    summary="Makes coloured noise for a mesh, slowly.",
    params=TextureProbeParams,
    number=1001,
    makes="surface",
    devices=("cpu", "cuda"),
    inputs=(Port(name="mesh", kind=MESH, label="Mesh", help="what the texture is for."),),
    outputs=(
        Port(name="texture", kind=TEXTURE, label="Texture", help="coloured noise.", many=True),
        Port(name="coverage", kind=COUNT_MAP, label="Coverage", help="0 to 20, by columns.", many=True),
        Port(name="confidence", kind=MASK, label="Confidence", help="0 to 1, by rows.", many=True),
        Port(name="mesh", kind=MESH, label="Mesh", help="the mesh with new UVs.", optional=True),
        Port(name="report", kind=REPORT, label="Report", help="of two photographs, one of which did not fit."),
    ),
)

SPECS = (TEXTURE_PROBE,)
IMPLEMENTATIONS = {"texture_probe": "tests.support.texture_probe_compute:run"}
