"""The declaration of the hydrology engine: running water on a height map. Its code: backend/algorithms/hydrology.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import AREA_MAP, HEIGHT_MAP, MASK
from ..params import param
from . import inland_waters


@dataclass(frozen=True, kw_only=True)
class HydrologyParams:
    """How much water, and by which law. Amounts are relative to the map, so that they look alike at any scale."""

    amount: float = param(
        0.22,
        label="Erosion",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How far rivers cut back into the land: 0 leaves it unchanged, 1 reaches the highest divides",
        before=0.3,
    )
    smoothing: float = param(
        0.6,
        label="Soil Creep",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How far soil creeps: it evens what water has cut, and rounds gentle or buried ground",
        before=0.5,
    )
    deposition: float = param(
        0.3,
        label="Sediment",
        min=0.0,
        max=2.0,
        soft_max=1.0,
        step=0.05,
        help="How readily rivers deposit what they carry: 0 carries everything away, 1 fills valley floors",
    )
    uplift: float = param(
        0.0,
        label="Uplift",
        min=0.0,
        max=5.0,
        soft_max=1.0,
        step=0.05,
        help="Uplift: how far the highest land rises while it erodes, as a share of the relief. It keeps old mountains high",
    )
    debris: float = param(
        0.0,
        label="Thermal Erosion",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How much rock breaks off slopes steeper than the talus angle and comes to rest below them",
        before=0.0,
    )
    fading: float = param(
        1.0,
        label="Detail Fading",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How far the terrain's own fine relief goes where the ground is worn away or buried; elsewhere it stays",
        before=1.0,
    )
    valley_size: float = param(
        1.0,
        label="Smallest Valley",
        min=0.0,
        max=20.0,
        soft_max=5.0,
        step=0.1,
        unit="%",
        help="Width of the smallest valley that is cut, as a share of the map's width; smaller forms are kept as detail",
    )
    steps: int = param(
        24,
        label="Steps",
        min=1,
        max=1000,
        soft_max=100,
        help="Time steps; more of them let rivers find better courses and take longer",
        role="count",
        before=40,
    )
    seed: int = param(
        0,
        label="Seed",
        help="Random seed for flow directions where slopes are nearly equal",
        min=0,
        max=2147483647,
        role="seed",
    )
    channels: Literal["profile", "cut"] = param(
        "profile",
        label="Rivers",
        group="Water",
        help="Rivers fall steadily by the erosion law and their valleys move along; or, as in version 1, each cuts a channel one"
        " pixel wide and creep rounds everything",
        labels={"profile": "Natural Profile", "cut": "Narrow Cuts"},
        before="cut",
    )
    river_width: float = param(
        0.6,
        label="River Width",
        group="Water",
        min=0.0,
        max=10.0,
        soft_max=3.0,
        step=0.1,
        unit="%",
        help="Width of a river that drains the whole map, as a share of the map's width; smaller ones are narrower by the root"
        " of their area",
        before=0.6,
    )
    depressions: Literal["breach", "fill", "keep"] = param(
        "breach",
        label="Depressions",
        group="Water",
        help="How hollows that would hold water are treated: drained by a channel, filled, or kept as lakes",
        labels={"breach": "Cut Channels", "fill": "Fill", "keep": "Keep as Lakes"},
    )
    flow_model: Literal["multiple", "single"] = param(
        "multiple",
        label="Flow Map",
        group="Water",
        help="How the flow map distributes water: over all lower neighbours (smooth) or to the steepest one (thin lines)",
        labels={"multiple": "Spread", "single": "Thin Lines"},
    )
    wander: float = param(
        1.0,
        label="Wander",
        group="Water",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How far flow strays from the steepest of the eight directions, which hides the grid on even slopes",
    )
    rebound: float = param(
        1.0,
        label="Rebound",
        group="Erosion Law",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How far the land rises as rock is taken off it: 1 keeps mountains high, 0 lets them wear down",
        before=1.0,
    )
    area_exponent: float = param(
        0.4,
        label="Area Exponent",
        group="Erosion Law",
        min=0.1,
        max=1.0,
        soft_min=0.3,
        soft_max=0.6,
        step=0.01,
        help="Exponent m in K A^m S^n; higher favours large rivers over small gullies. m / n is how concave rivers are",
        before=0.45,
    )
    slope_exponent: float = param(
        1.0,
        label="Slope Exponent",
        group="Erosion Law",
        min=0.3,
        max=3.0,
        soft_min=0.6,
        soft_max=2.0,
        step=0.05,
        help="Exponent n in K A^m S^n; above 1 steep reaches erode faster and valleys keep sharp steps",
    )
    talus_angle: float = param(
        60.0,
        label="Talus Angle",
        group="Erosion Law",
        unit="deg",
        min=5.0,
        max=90.0,
        soft_min=25.0,
        step=1.0,
        help="Steepest slope that is stable beside a channel and under thermal erosion; 90 lets cliffs stand",
    )
    strata: float = param(
        0.0,
        label="Contrast",
        group="Strata",
        min=0.0,
        max=1.0,
        step=0.05,
        help="How much harder every other layer of rock is: hard ones stand as cliffs, soft ones lie back as benches",
        before=0.0,
    )
    layer_thickness: float = param(
        12.0,
        label="Thickness",
        group="Strata",
        min=0.5,
        max=100.0,
        soft_max=30.0,
        step=1.0,
        unit="%",
        help="Thickness of a hard layer and the soft one below it, as a share of the relief; layers differ by a third",
        before=12.0,
    )
    dip: float = param(
        0.0,
        label="Dip",
        group="Strata",
        min=0.0,
        max=60.0,
        soft_max=20.0,
        step=1.0,
        unit="deg",
        help="How steeply the layers go down",
        before=0.0,
    )
    dip_direction: float = param(
        90.0,
        label="Dip Direction",
        group="Strata",
        min=0.0,
        max=360.0,
        step=5.0,
        unit="deg",
        help="Where the layers go down to, clockwise from the top of the map",
        before=90.0,
    )


SPEC = AlgorithmSpec(
    name="hydrology",
    label="Hydrology",
    summary="Lets water run over a terrain: cuts valleys, drains hollows, deposits sediment and maps the flow",
    icon="MOD_OCEAN",
    params=HydrologyParams,
    number=2,
    version=2,  # 2: `channels`
    repeats=(1,),
    makes="terrain",
    devices=("cpu", "cuda"),
    inputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="The terrain that water runs over"),
        Port(
            name="mask",
            kind=MASK,
            label="Mask",
            optional=True,
            help="Where the ground may change: 1 freely, 0 not at all",
        ),
        Port(
            name="hardness",
            kind=MASK,
            label="Hardness",
            optional=True,
            help="How hard the rock is: 0 wears freely, 1 fifty times slower, with little soil on it",
        ),
    ),
    outputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="The terrain after erosion"),
        Port(
            name="flow",
            kind=AREA_MAP,
            label="Flow",
            help="The area that drains through each cell; its logarithm shows rivers",
        ),
        Port(
            name="sediment",
            kind=MASK,
            label="Sediment",
            help="How far sediment covers the rock: river beds, fans and valley floors",
        ),
        Port(
            name="wear", kind=MASK, label="Wear", help="How deep the ground was eroded: 0.5 is one tenth of the relief"
        ),
        *inland_waters.PORTS,
    ),
    presets=(
        Preset(
            name="young",
            label="Young Valleys",
            help="First gullies in land that keeps its shape",
            values={"amount": 0.18, "smoothing": 0.15, "deposition": 0.15, "valley_size": 0.5},
        ),
        Preset(name="mature", label="Mature", help="Branching valleys up to the divides", values={}),
        Preset(
            name="old",
            label="Old Land",
            help="Low, rounded, wide floors",
            values={
                "amount": 0.7,
                "smoothing": 1.0,
                "deposition": 1.0,
                "rebound": 0.0,
                "valley_size": 2.0,
                "river_width": 2.0,
            },
        ),
        Preset(
            name="alpine",
            label="Alpine",
            help="Land that rises as it erodes: sharp ridges, deep valleys and scree",
            values={
                "amount": 0.4,
                "smoothing": 0.3,
                "deposition": 0.05,
                "uplift": 0.3,
                "debris": 0.6,
                "talus_angle": 40.0,
                "valley_size": 1.2,
            },
        ),
        Preset(
            name="badlands",
            label="Badlands",
            help="Soft ground cut into many sharp gullies",
            values={
                "amount": 0.5,
                "smoothing": 0.12,
                "deposition": 0.2,
                "area_exponent": 0.35,
                "valley_size": 0.3,
                "river_width": 0.2,
            },
        ),
        Preset(
            name="canyon",
            label="Canyons",
            help="Layers of hard and soft rock: cliffs, benches and flat tops",
            values={
                "amount": 0.5,
                "smoothing": 0.3,
                "deposition": 0.1,
                "rebound": 0.0,
                "strata": 0.9,
                "layer_thickness": 22.0,
                "debris": 0.2,
                "valley_size": 1.5,
                "river_width": 1.2,
            },
        ),
        Preset(
            name="drain",
            label="Drain Only",
            help="No erosion; only drains every hollow, for a flow map",
            values={"amount": 0.0, "smoothing": 0.0, "deposition": 0.0, "steps": 1, "wander": 0.0},
        ),
    ),
)
