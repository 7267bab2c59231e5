"""The declaration of the painting engine: an image becomes a painting of brush strokes that keep to its segments.

Its code: backend/algorithms/paint.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, NORMAL_MAP, STROKES
from ..params import param

_BRUSH = "Brush"
_METHOD = "Method"


@dataclass(frozen=True, kw_only=True)
class PaintParams:
    """How many strokes of which sizes, what the brush is like, and how long it is worked on."""

    budget: int = param(
        4000,
        label="Strokes",
        help="Strokes of the whole painting; more show more detail and take longer",
        min=1,
        max=1000000,
        soft_max=20000,
        role="count",
    )
    largest: float = param(
        20.0,
        label="Largest Brush",
        help="Width of the strokes that are painted first, as a share of the picture's shorter side",
        min=0.2,
        max=100.0,
        soft_max=40.0,
        unit="%",
    )
    smallest: float = param(
        1.25,
        label="Smallest Brush",
        help="Width of the strokes that are painted last, as a share of the picture's shorter side",
        min=0.1,
        max=100.0,
        soft_max=10.0,
        unit="%",
    )
    detail: float = param(
        0.8,
        label="Detail",
        help="0 spreads the strokes evenly and leaves most of them large; 1 saves them for small brushes and for what differs most",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    length: float = param(
        5.0,
        label="Stroke Length",
        help="Longest stroke, in widths of its brush; strokes are long where the picture runs in one direction",
        min=1.0,
        max=20.0,
        soft_max=12.0,
        step=0.5,
    )
    regions: int = param(
        0,
        label="Regions",
        help="Without segments, into how many parts of similar color the picture is divided for strokes to stay in; 0 for none",
        min=0,
        max=255,
        soft_max=60,
    )
    canvas_color: Literal["average", "black", "white"] = param(
        "average",
        label="Canvas Color",
        help="What the strokes are painted on where no canvas is given",
        labels={"average": "Average Color", "black": "Black", "white": "White"},
    )
    seed: int = param(
        0, label="Seed", help="Random seed: another painting of the same picture", min=0, max=2147483647, role="seed"
    )
    opacity: Literal["opaque", "varying"] = param(
        "opaque",
        label="Opacity",
        group=_BRUSH,
        help="Whether paint covers what lies below it, or thins along the stroke where that comes closer to the picture",
        labels={"opaque": "Opaque", "varying": "Varying"},
    )
    two_colors: bool = param(
        False,
        label="Two Colors",
        group=_BRUSH,
        help="Strokes have a color at each end, which are mixed along them; the painting comes closer to the picture",
    )
    smudge: float = param(
        0.0,
        label="Smudge",
        group=_BRUSH,
        help="How much of the wet paint a dry brush pulls along the strokes and blends once they are painted; with saved strokes, 0"
        " takes what they were saved with",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    bristles: float = param(
        0.25,
        label="Bristles",
        group=_BRUSH,
        help="How strongly the hairs of the brush show in the painting and in its relief",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    impasto: float = param(
        0.4,
        label="Impasto",
        group=_BRUSH,
        help="Height of the thickest paint, as a share of the picture's longer side; 0 makes no relief",
        min=0.0,
        max=10.0,
        soft_max=2.0,
        unit="%",
    )
    bend: float = param(
        0.0,
        label="Bend",
        group=_BRUSH,
        help="How far strokes are bent when they are laid down",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    flow: float = param(
        0.0,
        label="Flow",
        group=_BRUSH,
        help="How far strokes on plain ground follow the directions of what lies around them, and get longer",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    color_variation: float = param(
        0.0,
        label="Color Variation",
        group=_BRUSH,
        help="How far the colours of strokes stray from the picture's, less on plain ground, and how much stronger they are",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    segment_settings: str = param(
        "",
        label="Segment Settings",
        group=_METHOD,
        help="Settings of single segments by name or number, as JSON: strokes or share (%), largest and smallest brush (%), order,"
        ' opacity; such as {"sky": {"share": 10, "smallest": 6}}',
        role="json",
    )
    method: Literal["canvas", "patches"] = param(
        "canvas",
        label="Method",
        group=_METHOD,
        help="Whole Canvas optimises all strokes together; Patches is the published scheme of de Guevara et al. 2023, with its own "
        "brush sizes and numbers of strokes",
        labels={"canvas": "Whole Canvas", "patches": "Patches"},
        numbers={"canvas": 0, "patches": 1},
    )
    model: str = param(
        "",
        label="Trained Renderer",
        group=_METHOD,
        role="file",
        help="With Patches, a .safetensors file that train stroke-renderer has written, whose network draws the strokes while they "
        "are optimised; empty for the built-in renderer",
    )
    layers: int = param(
        4, label="Layers", group=_METHOD, help="Layers of strokes from the largest brush to the smallest", min=1, max=8
    )
    steps: int = param(
        30,
        label="Layer Steps",
        group=_METHOD,
        help="Steps in which each layer's strokes are moved and bent towards the picture; 0 leaves them as they were laid down",
        min=0,
        max=10000,
        soft_max=300,
        role="count",
    )
    scale: float = param(
        1.0,
        label="Scale",
        group=_METHOD,
        help="Size of the painting, in sizes of the picture or of the canvas that saved strokes were painted on",
        min=0.1,
        max=32.0,
        soft_max=8.0,
        step=0.5,
    )


SPEC = AlgorithmSpec(
    name="paint",
    label="Painting",
    summary="Paints an image with brush strokes that keep to its segments, from large brushes to small ones",
    icon="BRUSH_DATA",
    params=PaintParams,
    number=6,
    makes="painting",
    devices=("cpu", "cuda"),
    inputs=(
        Port(
            name="image",
            kind=COLOR_IMAGE,
            label="Image",
            help="The picture that is painted",
            least_px=16,
            unless="strokes",
        ),
        Port(
            name="segments",
            kind=CLASS_MAP,
            label="Segments",
            help="Parts of the picture that strokes stay inside of, a number each, such as objects or materials",
            optional=True,
            any_colors=True,
            reads=("view", "surface", "image"),
        ),
        Port(
            name="canvas",
            kind=COLOR_IMAGE,
            label="Canvas",
            help="What is painted on, of the picture's size",
            optional=True,
        ),
        Port(
            name="strokes",
            kind=STROKES,
            label="Strokes",
            help="Saved strokes, which are painted again at Scale as they are",
            optional=True,
        ),
    ),
    outputs=(
        Port(name="painting", kind=COLOR_IMAGE, label="Painting", help="The strokes, drawn"),
        Port(name="strokes", kind=STROKES, label="Strokes", help="The strokes in painting order"),
        Port(
            name="height",
            kind=HEIGHT_MAP,
            label="Height",
            help="Thickness of the paint in metres, on a canvas whose longer side is one metre",
            optional=True,
        ),
        Port(
            name="normal",
            kind=NORMAL_MAP,
            label="Normal",
            help="Normals of the paint's surface",
            optional=True,
        ),
    ),
    presets=(
        Preset(
            name="realistic",
            label="Realistic",
            help="Many small strokes that come close to the picture",
            values={"budget": 5300, "smallest": 1.0, "steps": 90, "bristles": 0.1, "impasto": 0.2},
        ),
        Preset(
            name="painterly",
            label="Painterly",
            help="Visible brush marks of middle size with bristles",
            values={"budget": 1600, "smallest": 2.5, "length": 6.0, "bristles": 0.5, "impasto": 0.6},
        ),
        Preset(
            name="abstract",
            label="Abstract",
            help="Few large, flat strokes",
            values={
                "budget": 160, "largest": 40.0, "smallest": 8.0, "layers": 3, "detail": 0.4, "length": 4.0, "bristles": 0.15,
            },
        ),
        Preset(
            name="expressionist",
            label="Expressionist",
            help="Long, flowing strokes of two brushes in strong colours, thickly laid on",
            values={
                "budget": 700, "largest": 14.0, "smallest": 4.0, "layers": 2, "length": 10.0, "bend": 0.35, "flow": 1.0,
                "bristles": 0.8, "impasto": 1.2, "color_variation": 0.6, "canvas_color": "black",
            },
        ),
        Preset(
            name="de-guevara-2023",
            label="De Guevara 2023",
            help="The published scheme in patches of 128 pixels: slow, for comparison",
            values={"method": "patches", "canvas_color": "black", "steps": 300, "bristles": 0.0},
        ),
    ),
)  # fmt: skip
