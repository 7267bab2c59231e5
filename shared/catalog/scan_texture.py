"""The declaration of the scan texture engine: one clean texture from posed photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import CAMERAS, COUNT_MAP, DEPTH_MAP, MASK, MESH, PHOTOGRAPH, REPORT, TEXTURE, UV_MAP
from ..params import param


@dataclass(frozen=True, kw_only=True)
class ScanTextureParams:
    """How photographs become one texture. Colours are sRGB-encoded values 0..1 throughout, as cameras store them."""

    size: int = param(
        2048,
        label="Size",
        unit="px",
        min=16,
        max=16384,
        soft_min=256,
        help="Side of the square texture, of each UDIM tile where there are several",
        role="size",
    )
    robustness: Literal["l1", "huber", "none"] = param(
        "l1",
        label="Outliers",
        help="What becomes of highlights, passers-by and other pixels that most photographs contradict",
        labels={"l1": "Ignore", "huber": "Weaken", "none": "Average In"},
    )
    color_correction: Literal["white-balance", "exposure", "none"] = param(
        "white-balance",
        label="Colours",
        help="What is made equal between photographs: exposure, or exposure and white balance, or nothing",
    )
    alignment: Literal["warp", "shift", "none"] = param(
        "warp",
        label="Alignment",
        help="How photographs whose poses are a pixel off are brought onto each other",
        labels={"warp": "Bend", "shift": "Shift", "none": "None"},
    )
    smoothness: float = param(
        0.004,
        label="Smoothness",
        min=0.0,
        max=1.0,
        soft_max=0.1,
        help="How strongly neighbouring texels are held together where photographs disagree: fills what none has seen",
    )
    unwrap: Literal["missing", "never", "always"] = param(
        "missing",
        label="Unwrap",
        group="UVs",
        help="Whether the mesh gets new UVs: only where it has none, never, or in every case",
        labels={"missing": "If It Has No UVs", "never": "Never", "always": "Always"},
    )
    mips: bool = param(
        True,
        label="Fill the Surroundings",
        group="UVs",
        help="Carry the colours on around the charts, so that the smaller copies a renderer makes (mips) do not bleed",
    )
    pixel_model: Literal["area", "point"] = param(
        "area",
        label="A Pixel Is",
        group="Solver",
        help="What a photograph's pixel is taken to show: the mean of the texels under it, which lets a texture finer than"
        " the photographs gain detail, or the texels at its centre alone",
        labels={"area": "An Area", "point": "A Point"},
    )
    passes: int = param(
        2,
        label="Passes",
        group="Solver",
        min=1,
        max=50,
        soft_max=10,
        help="How often all photographs are read at full size, pixels weighed anew by how well they fit each time",
    )
    tolerance: float = param(
        0.02,
        label="Tolerance",
        group="Solver",
        min=0.001,
        max=0.5,
        soft_max=0.1,
        help="Differences of colour below this count as noise, those above as outliers; 1 is from black to white",
    )
    gradient_weight: float = param(
        0.0,
        label="Gradients",
        group="Solver",
        min=0.0,
        max=100.0,
        soft_max=10.0,
        help="How much the differences between neighbouring pixels count beside the pixels themselves; helps where the"
        " light changes from photograph to photograph",
    )
    seam_weight: float = param(
        0.1,
        label="Seams",
        group="Solver",
        min=0.0,
        max=100.0,
        soft_max=10.0,
        help="How firmly the two sides of a cut in the UVs are held to one colour; 0 lets seams show",
    )
    view_angle_power: float = param(
        1.0,
        label="View Angle",
        group="Weights",
        min=0.0,
        max=16.0,
        soft_max=4.0,
        help="How much a frontal view outweighs a grazing one: the power of the cosine; 0 counts both alike",
    )
    steepest_view: float = param(
        80.0,
        label="Steepest View",
        group="Weights",
        min=10.0,
        max=90.0,
        unit="deg",
        help="Surfaces turned further away from the camera than this are not taken from that photograph",
    )
    silhouette_px: float = param(
        1.0,
        label="Silhouettes",
        group="Weights",
        min=0.0,
        max=64.0,
        soft_max=16.0,
        unit="px",
        help="Pixels this near to where one surface hides another, or the mesh ends, are trusted less",
    )
    border_px: float = param(
        4.0,
        label="Image Border",
        group="Weights",
        min=0.0,
        max=1024.0,
        soft_max=64.0,
        unit="px",
        help="Pixels this near to the border of their photograph are trusted less, so that none ends abruptly",
    )
    warp_cell_px: float = param(
        64.0,
        label="Bending Size",
        group="Alignment",
        min=8.0,
        max=1024.0,
        soft_max=256.0,
        unit="px",
        help="Distance of the points at which a photograph may be bent",
    )
    most_shift: float = param(
        2.0,
        label="Most Shift",
        group="Alignment",
        min=0.01,
        max=20.0,
        soft_max=5.0,
        unit="%",
        help="A photograph is never moved or bent further than this share of its longer side",
    )
    misfit: float = param(
        4.0,
        label="Misfit",
        group="Alignment",
        min=1.5,
        max=100.0,
        soft_max=10.0,
        help="A photograph whose residual is this many times the others' is left out and named in the report",
    )
    refinement: Literal["none", "refine", "original"] = param(
        "none",
        label="Refinement",
        group="Refinement",
        help="Further descent on the finished texture by its losses on the photographs: none, from the solved texture, or as"
        " NeuralTexGen does it from grey",
        labels={"none": "None", "refine": "Refine", "original": "As NeuralTexGen"},
    )
    refinement_epochs: int = param(
        10,
        label="Steady Epochs",
        group="Refinement",
        min=0,
        max=10000,
        soft_max=200,
        help="Passes over all photographs at the full learning rate",
        role="count",
    )
    refinement_decay_epochs: int = param(
        20,
        label="Fading Epochs",
        group="Refinement",
        min=0,
        max=10000,
        soft_max=200,
        help="Passes during which the learning rate falls to nothing",
    )
    refinement_rate: float = param(
        0.002,
        label="Learning Rate",
        group="Refinement",
        min=0.0,
        max=1.0,
        soft_max=0.1,
        help="Adam's step; 2 is from black to white",
    )
    refinement_batch: int = param(
        0,
        label="Batch",
        group="Refinement",
        min=0,
        max=100000,
        soft_max=100,
        help="Photographs a step, drawn anew in every epoch; 0 takes one step an epoch with all of them",
    )
    refinement_levels: int = param(
        4,
        label="Levels",
        group="Refinement",
        min=1,
        max=12,
        help="Levels of the texture that are summed, each half as fine as the one before",
    )
    refinement_penalty: Literal["l1", "charbonnier", "huber"] = param(
        "l1",
        label="Penalty",
        group="Refinement",
        help="How a difference counts in the colour and gradient losses",
        labels={"l1": "Absolute", "charbonnier": "Charbonnier", "huber": "Huber"},
    )
    l1_loss: float = param(
        10.0,
        label="Colour",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of the differences of colour; every loss may be 0",
    )
    l2_loss: float = param(
        0.0,
        label="Squared Colour",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of the squared differences of colour",
    )
    gradient_loss: float = param(
        20.0,
        label="Edges",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of the differences between neighbouring pixels' differences",
    )
    content_loss: float = param(
        0.0,
        label="Content",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of the differences of VGG-19 features; needs its weights",
    )
    style_loss: float = param(
        0.0,
        label="Style",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of the differences of VGG-19 feature correlations; needs its weights",
    )
    regularization: float = param(
        0.1,
        label="Coarseness",
        group="Refinement",
        min=0.0,
        max=100.0,
        soft_max=1.0,
        help="How strongly detail is kept in the coarse levels, which fills what no photograph has seen",
    )
    download_weights: bool = param(
        False,
        label="Download Weights",
        group="Refinement",
        help="Fetch the VGG-19 weights (548 MiB) when they are not on this machine",
    )
    hold_out: int = param(
        0,
        label="Hold Out Every",
        group="Measure",
        min=0,
        max=1000,
        help="Keep every so-many-th photograph back and report how well the texture predicts it; 0 uses all",
    )
    memory_limit: float = param(
        0.0,
        label="Memory",
        group="Measure",
        min=0.0,
        max=4096.0,
        soft_max=64.0,
        unit="GiB",
        help="Most memory to work with; a texture that does not fit is solved in blocks. 0 takes most of what is free",
    )
    seed: int = param(
        0,
        label="Seed",
        group="Measure",
        min=0,
        max=2147483647,
        help="Only the refinement draws numbers",
        role="seed",
    )


SPEC = AlgorithmSpec(
    name="scan_texture",
    label="Scan",
    summary="Makes one clean texture for a scanned mesh from photographs with known cameras",
    icon="OUTLINER_OB_CAMERA",
    params=ScanTextureParams,
    number=3,
    makes="surface",
    devices=("cpu", "cuda"),
    weights=("vgg19",),
    inputs=(
        Port(
            name="images",
            kind=PHOTOGRAPH,
            many=True,
            label="Photographs",
            help="the photographs, in the cameras' order",
        ),
        Port(
            name="mesh",
            kind=MESH,
            optional=True,
            label="Mesh",
            help="the scanned surface; needed unless UV maps are given",
        ),
        Port(name="cameras", kind=CAMERAS, optional=True, label="Cameras", help="where each photograph was taken from"),
        Port(
            name="occluders",
            kind=MESH,
            optional=True,
            label="Occluders",
            help="surfaces that hide the mesh in the photographs and take no texture",
        ),
        Port(
            name="uv_maps",
            kind=UV_MAP,
            optional=True,
            many=True,
            label="UV Maps",
            help="for each photograph where its pixels look in the texture, in place of mesh and cameras",
        ),
        Port(
            name="depth_maps",
            kind=DEPTH_MAP,
            optional=True,
            many=True,
            label="Depth Maps",
            help="for each UV map how far away its surface is, to know its silhouettes",
        ),
        Port(
            name="facing_maps",
            kind=MASK,
            optional=True,
            many=True,
            label="Facing Maps",
            help="for each UV map the cosine between the surface's normal and the line of sight",
        ),
        Port(
            name="masks",
            kind=MASK,
            optional=True,
            many=True,
            label="Masks",
            help="for each photograph what counts: 1 fully, 0 not at all",
        ),
    ),
    outputs=(
        Port(name="texture", kind=TEXTURE, many=True, label="Texture", help="the texture, an image for each UDIM tile"),
        Port(
            name="coverage",
            kind=COUNT_MAP,
            many=True,
            label="Coverage",
            help="how many photographs have seen each texel",
        ),
        Port(
            name="confidence",
            kind=MASK,
            many=True,
            label="Confidence",
            help="how surely each texel is known: 0 is a guess from its surroundings",
        ),
        Port(
            name="mesh",
            kind=MESH,
            optional=True,
            label="Mesh",
            help="the mesh with the UVs that the texture belongs to",
        ),
        Port(
            name="report",
            kind=REPORT,
            label="Report",
            help="each photograph's residual, gain and shift, the held-out ones' PSNR, and those that did not fit",
        ),
    ),
    presets=(
        Preset(name="scan", label="Scan", help="Photographs of a still object with known cameras", values={}),
        Preset(
            name="exact",
            label="Exact Poses",
            help="Renderings or a calibrated rig: nothing is moved, no exposure made equal",
            values={"alignment": "none", "color_correction": "none"},
        ),
        Preset(
            name="draft",
            label="Draft",
            help="A quick look: few passes, no bending",
            values={"size": 1024, "passes": 1, "alignment": "shift"},
        ),
        Preset(
            name="refined",
            label="Refined",
            help="The solved texture, then descent on the losses of NeuralTexGen without its networks",
            values={"refinement": "refine"},
        ),
        Preset(
            name="neuraltexgen",
            label="NeuralTexGen",
            help="Its published formula, started from grey; needs VGG-19's weights unless Content and Style are 0",
            values={
                "refinement": "original",
                "refinement_epochs": 20,
                "refinement_decay_epochs": 40,
                "refinement_rate": 0.01,
                "refinement_batch": 0,
                "refinement_levels": 4,
                "l1_loss": 10.0,
                "l2_loss": 0.0,
                "gradient_loss": 20.0,
                "content_loss": 10.0,
                "style_loss": 10.0,
                "regularization": 0.1,
                "color_correction": "none",
                "alignment": "none",
                "pixel_model": "point",
            },
        ),
    ),
)
