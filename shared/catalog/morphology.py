"""Relief transfer: a height map takes on the landforms of exemplars. Declaration only; the code is backend/algorithms/morphology.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import CLASS_MAP, HEIGHT_MAP
from ..params import param


@dataclass(frozen=True, kw_only=True)
class MorphologyParams:
    """Settings of relief transfer. Those of group "Feature losses" count only where the method is one of the feature losses."""

    seed: int = param(0, label="Seed", help="another number gives another terrain of the same kind", min=0, max=2**31 - 1)
    landform: Literal["alpine", "canyon", "badlands", "dunes", "volcanic", "glacial"] = param(
        "alpine", label="Landform", help="the exemplar that comes with Relievo, used where none is given",
    )
    layout: float = param(
        0.1, label="Keep Layout", min=0.0, max=1.0,
        help="how firmly mountains and plains stay where the height map has them; 0 only starts there",
    )
    landform_px: float = param(
        112.0, label="Landform Size", min=14.0, max=4096.0, soft_max=512.0, unit="px",
        help="the largest landform taken from the exemplar; what is larger stays the height map's own",
    )
    relief: float = param(
        0.0, label="Relief", min=0.0, max=9000.0, unit="m",
        help="highest minus lowest point of the result; 0 keeps the exemplar's own heights and slopes",
    )
    drainage: bool = param(True, label="Drain", help="let water run off: no pits but those the exemplar's kind would hide")
    steps: int = param(
        40, label="Steps", min=1, max=2000, soft_max=200, help="steps of transport at each of about eight sizes", group="Transport",
    )
    filters: int = param(
        24, label="Filters", min=2, max=48, step=2, help="directions compared at each step; rounded up to an even number",
        group="Transport",
    )
    method: Literal["sliced-wasserstein", "features"] = param(
        "sliced-wasserstein", label="Method", help="how two terrains are compared", group="Method",
    )


SPEC = AlgorithmSpec(
    name="morphology",
    label="Relief Transfer",
    summary="Give a height map the landforms of real or simulated terrain, and keep its layout.",
    icon="RNDCURVE",
    params=MorphologyParams,
    inputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="the map whose layout is kept"),
        Port(
            name="exemplar", kind=HEIGHT_MAP, label="Exemplars", optional=True, many=True,
            help="terrain whose landforms are taken, one or several; none takes the landform that is set",
        ),
        Port(
            name="classes", kind=CLASS_MAP, label="Classes", optional=True,
            help="which exemplar applies where: 0 is the first; of the height map's size",
        ),
    ),
    outputs=(Port(name="height", kind=HEIGHT_MAP, label="Height", help="the new terrain, at the height map's pixel size"),),
    presets=(
        Preset(name="close", label="Close to the layout", help="Small landforms on the user's own mountains",
               values={"layout": 0.6, "landform_px": 56.0}),
        Preset(name="free", label="Free", help="Large landforms; only a hint of the layout", values={"layout": 0.0, "landform_px": 224.0}),
        Preset(name="draft", label="Draft", help="A quick look", values={"steps": 12, "filters": 12}),
    ),
)
