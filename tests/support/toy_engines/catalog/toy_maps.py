"""Heights in, maps out: normals and a mask, which are images and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import HEIGHT_MAP, MASK, NORMAL_MAP
from shared.params import param


@dataclass(frozen=True, kw_only=True)
class ToyMapsParams:
    """Where the mask begins."""

    level: float = param(0.5, label="Level", help="Share of the relief above which the mask is 1", min=0.0, max=1.0)


SPEC = AlgorithmSpec(
    name="toy_maps",
    label="Toy Maps",
    summary="Normals of a terrain, and a mask of its high ground",
    icon="IMAGE_DATA",
    params=ToyMapsParams,
    number=2004,
    makes="maps",
    inputs=(Port(name="height", kind=HEIGHT_MAP, label="Height", help="The terrain"),),
    outputs=(
        Port(name="normal", kind=NORMAL_MAP, label="Normals", help="The terrain's normals"),
        Port(name="high", kind=MASK, label="High Ground", help="1 above the level"),
    ),
)
