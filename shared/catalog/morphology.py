"""Relief transfer: a height map takes on the landforms of exemplars. A declaration; it holds no code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import CLASS_MAP, HEIGHT_MAP
from ..params import param
from . import inland_waters

LEAST_MAP_SIDE = 16  # pixels: less has no room for landforms


@dataclass(frozen=True, kw_only=True)
class MorphologyParams:
    """Settings of relief transfer. Those of group "Features" count only where the method is not
    "sliced-wasserstein"."""

    seed: int = param(
        0,
        label="Seed",
        help="Random seed; each number gives a different terrain of the same kind",
        min=0,
        max=2**31 - 1,
        role="seed",
    )
    landform: Literal[
        "alpine", "canyon", "badlands", "dunes", "volcanic", "glacial", "hills", "ridges", "mesas", "fans", "domes", "karst",
        "lava", "drumlins", "star-dunes",
    ] = param(
        "alpine",
        label="Landform",
        help="Built-in exemplar, used if no other is given",
        labels={
            "hills": "Rounded Hills", "ridges": "Folded Ridges", "fans": "Desert Fans", "domes": "Granite Domes",
            "lava": "Lava Field",
        },
    )  # fmt: skip
    layout: float = param(
        0.1,
        label="Keep Layout",
        min=0.0,
        max=1.0,
        help="How firmly mountains and plains stay where the height map has them; at 0 the map is only the starting point",
    )
    landform_px: float = param(
        112.0,
        label="Landform Size",
        min=14.0,
        max=4096.0,
        soft_max=512.0,
        unit="px",
        help="Size of the largest landform taken from the exemplar, at most a quarter of the map; larger forms stay as they are",
    )
    relief: float = param(
        0.0,
        label="Relief",
        min=0.0,
        max=9000.0,
        unit="m",
        help="Height difference between the highest and lowest points; 0 keeps the exemplar's own slopes, and its heights"
        " where it is not scaled",
    )
    scale: Literal["fit", "true"] = param(
        "fit",
        label="Scale",
        help="Where the map is smaller than the exemplar's landforms, scale the exemplar down to the map's pixels, heights too;"
        " or keep its true metres",
        labels={"fit": "Fit to Map", "true": "True Metres"},
        before="true",
    )
    level: Literal["auto", "map", "exemplar"] = param(
        "auto",
        label="Level",
        help="Elevations: the map's own where it has heights below 0, so that what lies under the sea stays there, else the"
        " exemplar's; or always one of them",
        labels={"auto": "Automatic", "map": "The Map's", "exemplar": "The Exemplar's"},
        before="exemplar",
    )
    refine: int = param(
        1,
        label="Refine",
        min=1,
        max=16,
        soft_max=8,
        help="Pixels of the result along a side of one of the map's. Above 1 only detail finer than the map is added, from the"
        " exemplar; landforms, layout, relief and level stay the map's",
        before=1,
        role="finer",
    )
    drainage: bool = param(True, label="Drain", help="Let water run off everywhere, without pits")
    rivers: Literal["profile", "cut"] = param(
        "profile",
        label="Rivers",
        help="Rivers fall as the exemplar's do where they drain as much, and their valleys move along; or, as in version 2, water"
        " gets out by the nearest cuts, which are narrow and almost level",
        labels={"profile": "Natural Profile", "cut": "Narrow Cuts"},
        before="cut",
    )
    steps: int = param(
        40,
        label="Steps",
        min=1,
        max=2000,
        soft_max=200,
        help="Transport steps at each level of the pyramid, which has about eight",
        group="Transport",
        role="count",
    )
    filters: int = param(
        24,
        label="Filters",
        min=2,
        max=48,
        step=2,
        help="Random directions compared in each step; rounded up to an even number",
        group="Transport",
    )
    legacy: bool = param(
        False,
        label="As in Version 0.1",
        help="Small maps keep a rough frame inside their border, small exemplars repeat, flat maps become a ramp, and coarse"
        " exemplars are enlarged to the map's pixels",
        group="Transport",
        before=True,
    )
    edition: Literal["2", "1"] = param(
        "2",
        label="Landform Edition",
        group="Transport",
        help="Built-in exemplars as they are simulated now, or the first six as they were up to version 3",
        labels={"2": "Second", "1": "First"},
        before="1",
    )
    method: Literal["sliced-wasserstein", "gram", "channel-statistics", "histogram", "spatial"] = param(
        "sliced-wasserstein",
        label="Method",
        group="Method",
        help="What is compared with the exemplar: patches by optimal transport, or statistics of features: correlations,"
        " means and deviations, histograms, or correlations at a distance",
    )
    features: Literal["convolution-bank", "vgg19"] = param(
        "convolution-bank",
        label="Features",
        group="Features",
        help=("A fixed bank of random filters, which needs no download, or VGG-19 with torchvision's weights"),
        labels={"vgg19": "VGG-19"},
    )
    formula: Literal["relative", "merizzi-2024", "merizzi-2024-pytorch"] = param(
        "relative",
        label="Formula",
        group="Features",
        help="How loss terms are scaled: relative to the exemplar's own statistics, or as published in 2024",
        labels={"merizzi-2024": "Merizzi 2024 (Keras)", "merizzi-2024-pytorch": "Merizzi 2024 (PyTorch)"},
    )
    parametrisation: Literal["height", "deep-image-prior"] = param(
        "height",
        label="Parametrisation",
        group="Features",
        help="Optimise the heights themselves, or the weights of a small network that generates them (slower, smoother)",
    )
    style_weight: float = param(
        1.0,
        label="Style Weight",
        group="Features",
        min=0.0,
        max=1000.0,
        soft_max=10.0,
        help="Weight of the exemplar term",
    )
    content_weight: float = param(
        0.1,
        label="Content Weight",
        group="Features",
        min=0.0,
        max=1000.0,
        soft_max=10.0,
        help="Weight of the term that keeps the input's layout",
    )
    total_variation_weight: float = param(
        0.0,
        label="Total Variation",
        group="Features",
        min=0.0,
        max=1000.0,
        soft_max=10.0,
        help="Weight of the term that smooths",
    )
    optimiser: Literal["adam", "sgd"] = param(
        "adam",
        label="Optimiser",
        group="Features",
        help="Adam, or plain gradient descent as in 2024",
        labels={"sgd": "Gradient Descent"},
    )
    feature_iterations: int = param(
        100,
        label="Iterations",
        group="Features",
        min=1,
        max=100000,
        soft_max=2000,
        help="Steps at each level of the pyramid",
        role="count",
    )
    feature_learning_rate: float = param(
        0.3,
        label="Learning Rate",
        group="Features",
        min=1e-6,
        max=10000.0,
        soft_min=0.01,
        soft_max=200.0,
        help=(
            "For Adam, the step in units of the exemplar's roughness; for gradient descent, a factor on the "
            "published gradient with heights as 0 to 255"
        ),
    )
    learning_rate_decay: float = param(
        0.96,
        label="Decay",
        group="Features",
        min=0.01,
        max=1.0,
        help="Factor on the learning rate per decay interval, applied continuously",
    )
    learning_rate_interval: float = param(
        1.2,
        label="Decay Interval",
        group="Features",
        min=0.1,
        max=100000.0,
        soft_max=200.0,
        help="Iterations after which the decay factor has been applied once",
    )
    feature_size: int = param(
        1024,
        label="Working Size",
        group="Features",
        min=64,
        max=16384,
        soft_max=2048,
        unit="px",
        help=(
            "Longest side of the finest level that is optimised; finer detail is taken from the input, "
            "scaled to the exemplar"
        ),
    )
    coarsest_size: int = param(
        64,
        label="Coarsest Size",
        group="Features",
        min=32,
        max=16384,
        soft_max=1024,
        unit="px",
        help="Longest side of the first level",
    )
    download_weights: bool = param(
        False,
        label="Download Weights",
        group="Features",
        help="Download the VGG-19 weights (548 MiB) if they are not on this machine",
    )


def _merizzi(name: str, label: str, size: int) -> Preset:
    """One of the two programs of 2024; backend/algorithms/relief/feature_transfer.py names their faults that are mended."""
    return Preset(
        name=name, label=label,
        help="Gram matrices on VGG-19 as published: five style layers, 2000 steps of gradient descent",
        values={
            "method": "gram", "features": "vgg19", "formula": name, "parametrisation": "height", "style_weight": 1.0,
            "content_weight": 1.0, "total_variation_weight": 1.0, "optimiser": "sgd", "feature_iterations": 2000,
            "feature_learning_rate": 150.0, "learning_rate_decay": 0.96, "learning_rate_interval": 100.0,
            "feature_size": size, "coarsest_size": size, "drainage": False,
        },
    )  # fmt: skip


def _devices_for(params: MorphologyParams) -> tuple[str, ...]:
    """Networks are faster on a GPU (0.2 s against 0.5 s at 256 x 256); the transport uses none."""
    return ("cpu",) if params.method == "sliced-wasserstein" else ("cuda", "cpu")


SPEC = AlgorithmSpec(
    name="morphology",
    label="Relief Transfer",
    summary="Gives a height map the landforms of real or simulated terrain and keeps its layout",
    icon="RNDCURVE",
    params=MorphologyParams,
    number=1,
    version=4,  # 2: without `legacy`, small maps have no frame inside their border; 3: `rivers`; 4: `edition`
    repeats=(1, 2, 3),
    makes="terrain",
    devices=("cpu", "cuda"),
    devices_for=_devices_for,
    weights=("vgg19",),
    inputs=(
        Port(
            name="height",
            kind=HEIGHT_MAP,
            label="Height",
            help="The map whose layout is kept",
            least_px=LEAST_MAP_SIDE,
        ),
        Port(
            name="exemplar",
            kind=HEIGHT_MAP,
            label="Exemplars",
            optional=True,
            many=True,
            help=(
                "Terrain whose landforms are taken: one map, or several (pooled, or placed by the classes); "
                "if empty, the Landform setting is used"
            ),
        ),
        Port(
            name="classes",
            kind=CLASS_MAP,
            label="Classes",
            optional=True,
            help="Which exemplar applies where, 0 being the first; same size as the height map",
        ),
    ),
    outputs=(
        Port(
            name="height",
            kind=HEIGHT_MAP,
            label="Height",
            help="The new terrain, at the height map's pixel size, or finer by Refine",
        ),
        *inland_waters.PORTS,
    ),
    presets=(
        Preset(
            name="close",
            label="Close to the Layout",
            help="Small landforms on the map's own mountains",
            values={"layout": 0.6, "landform_px": 56.0},
        ),
        Preset(
            name="free",
            label="Free",
            help="Large landforms; only a hint of the layout",
            values={"layout": 0.0, "landform_px": 224.0},
        ),
        _merizzi("merizzi-2024", "Merizzi 2024 (Keras)", 512),
        _merizzi("merizzi-2024-pytorch", "Merizzi 2024 (PyTorch)", 256),
        Preset(name="draft", label="Draft", help="A quick look", values={"steps": 12, "filters": 12}),
    ),
)
