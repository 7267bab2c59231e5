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
        help="Side of the square texture, or of each UDIM tile",
        role="size",
    )
    robustness: Literal["l1", "huber", "none"] = param(
        "l1",
        label="Outliers",
        help="How highlights, passers-by and other pixels that most photographs contradict are treated",
        labels={"l1": "Ignore", "huber": "Weaken", "none": "Keep"},
    )
    color_correction: Literal["white-balance", "exposure", "none"] = param(
        "white-balance",
        label="Colours",
        help="What is equalised between photographs: exposure and white balance, exposure alone, or nothing",
    )
    alignment: Literal["warp", "shift", "none"] = param(
        "warp",
        label="Alignment",
        help="How photographs whose poses are slightly off are aligned with each other",
        labels={"warp": "Warp", "shift": "Shift", "none": "None"},
    )
    smoothness: float = param(
        0.004,
        label="Smoothness",
        min=0.0,
        max=1.0,
        soft_max=0.1,
        help="How strongly neighbouring texels are kept alike where photographs disagree; also fills what no photograph shows",
    )
    unwrap: Literal["missing", "never", "always"] = param(
        "missing",
        label="Unwrap",
        group="UVs",
        help="Whether the mesh gets new UVs: only where it has none, never, or always",
        labels={"missing": "If It Has No UVs", "never": "Never", "always": "Always"},
    )
    legacy: bool = param(
        False,
        label="As in Version 0.1",
        group="UVs",
        help="Parts without UVs beside others with UVs get no texture, and the report has the words of version 0.1",
        before=True,
    )
    mips: bool = param(
        True,
        label="Fill Margins",
        group="UVs",
        help="Extend colours beyond the UV islands, so that mip maps and filtering do not bleed",
    )
    pixel_model: Literal["area", "point"] = param(
        "area",
        label="Pixel Model",
        group="Solver",
        help="What a photograph's pixel is taken to show: the mean of the texels it covers, which lets a texture finer than"
        " the photographs gain detail, or only the texels at its centre",
        labels={"area": "Area", "point": "Point"},
    )
    passes: int = param(
        2,
        label="Passes",
        group="Solver",
        min=1,
        max=50,
        soft_max=10,
        help="How often all photographs are read at full size; each time pixels are weighted again by how well they fit",
    )
    tolerance: float = param(
        0.02,
        label="Tolerance",
        group="Solver",
        min=0.001,
        max=0.5,
        soft_max=0.1,
        help="Colour differences below this count as noise, those above as outliers; 1 is black to white",
    )
    gradient_weight: float = param(
        0.0,
        label="Gradients",
        group="Solver",
        min=0.0,
        max=100.0,
        soft_max=10.0,
        help="Weight of differences between neighbouring pixels relative to the pixels themselves; helps where the"
        " light changes between photographs",
    )
    seam_weight: float = param(
        0.1,
        label="Seams",
        group="Solver",
        min=0.0,
        max=100.0,
        soft_max=10.0,
        help="How firmly both sides of a UV seam are held to one colour; 0 lets seams show",
    )
    view_angle_power: float = param(
        1.0,
        label="View Angle",
        group="Weights",
        min=0.0,
        max=16.0,
        soft_max=4.0,
        help="How much frontal views outweigh grazing ones: the exponent of the cosine; 0 weights all alike",
    )
    steepest_view: float = param(
        80.0,
        label="Steepest View",
        group="Weights",
        min=10.0,
        max=90.0,
        unit="deg",
        help="Surfaces that face further away from the camera than this are not taken from that photograph",
    )
    silhouette_px: float = param(
        1.0,
        label="Silhouettes",
        group="Weights",
        min=0.0,
        max=64.0,
        soft_max=16.0,
        unit="px",
        help="Pixels this close to a silhouette, or to the edge of the mesh, get less weight",
    )
    border_px: float = param(
        4.0,
        label="Image Border",
        group="Weights",
        min=0.0,
        max=1024.0,
        soft_max=64.0,
        unit="px",
        help="Pixels this close to the border of their photograph get less weight, so that no photograph ends abruptly",
    )
    warp_cell_px: float = param(
        64.0,
        label="Warp Cell Size",
        group="Alignment",
        min=8.0,
        max=1024.0,
        soft_max=256.0,
        unit="px",
        help="Spacing of the control points by which a photograph may be warped",
    )
    most_shift: float = param(
        2.0,
        label="Maximum Shift",
        group="Alignment",
        min=0.01,
        max=20.0,
        soft_max=5.0,
        unit="%",
        help="Largest shift or warp of a photograph, as a share of its longer side",
    )
    misfit: float = param(
        4.0,
        label="Misfit",
        group="Alignment",
        min=1.5,
        max=100.0,
        soft_max=10.0,
        help="A photograph whose residual is this many times that of the others is left out and named in the report",
    )
    refinement: Literal["none", "refine", "original"] = param(
        "none",
        label="Refinement",
        group="Refinement",
        help="Gradient descent on the texture after the solve: none, from the solved texture, or from grey as"
        " NeuralTexGen does",
        labels={"none": "None", "refine": "Refine", "original": "As NeuralTexGen"},
    )
    refinement_epochs: int = param(
        10,
        label="Epochs",
        group="Refinement",
        min=0,
        max=10000,
        soft_max=200,
        help="Passes over all photographs at the full learning rate",
        role="count",
    )
    refinement_decay_epochs: int = param(
        20,
        label="Decay Epochs",
        group="Refinement",
        min=0,
        max=10000,
        soft_max=200,
        help="Passes during which the learning rate falls to zero",
    )
    refinement_rate: float = param(
        0.002,
        label="Learning Rate",
        group="Refinement",
        min=0.0,
        max=1.0,
        soft_max=0.1,
        help="Step size of Adam; black to white is 2",
    )
    refinement_batch: int = param(
        0,
        label="Batch",
        group="Refinement",
        min=0,
        max=100000,
        soft_max=100,
        help="Photographs per step, reshuffled in every epoch; 0 takes one step per epoch with all of them",
    )
    refinement_levels: int = param(
        4,
        label="Levels",
        group="Refinement",
        min=1,
        max=12,
        help="Levels of the texture that are summed, each at half the resolution of the one before",
    )
    refinement_penalty: Literal["l1", "charbonnier", "huber"] = param(
        "l1",
        label="Penalty",
        group="Refinement",
        help="How differences are penalised in the colour and edge losses",
        labels={"l1": "Absolute", "charbonnier": "Charbonnier", "huber": "Huber"},
    )
    l1_loss: float = param(
        10.0,
        label="Colour",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of colour differences; any loss may be 0",
    )
    l2_loss: float = param(
        0.0,
        label="Squared Colour",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of squared colour differences",
    )
    gradient_loss: float = param(
        20.0,
        label="Edges",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of differences of image gradients",
    )
    content_loss: float = param(
        0.0,
        label="Content",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of differences of VGG-19 features; needs its weights",
    )
    style_loss: float = param(
        0.0,
        label="Style",
        group="Refinement",
        min=0.0,
        max=1000.0,
        soft_max=100.0,
        help="Weight of differences of VGG-19 feature correlations; needs its weights",
    )
    regularization: float = param(
        0.1,
        label="Coarseness",
        group="Refinement",
        min=0.0,
        max=100.0,
        soft_max=1.0,
        help="How strongly detail is kept in the coarse levels, which fills what no photograph shows",
    )
    download_weights: bool = param(
        False,
        label="Download Weights",
        group="Refinement",
        help="Download the VGG-19 weights (548 MiB) if they are not on this machine",
    )
    hold_out: int = param(
        0,
        label="Hold Out Every",
        group="Measure",
        min=0,
        max=1000,
        help="Hold out every Nth photograph and report how well the texture predicts it; 0 uses all",
    )
    memory_limit: float = param(
        0.0,
        label="Memory Limit",
        group="Measure",
        min=0.0,
        max=4096.0,
        soft_max=64.0,
        unit="GiB",
        help="Memory to use at most; a texture that does not fit is solved in blocks. 0 uses most of what is free",
    )
    seed: int = param(
        0,
        label="Seed",
        group="Measure",
        min=0,
        max=2147483647,
        help="Random seed; used only by the refinement",
        role="seed",
    )


SPEC = AlgorithmSpec(
    name="scan_texture",
    label="Scan Texture",
    summary="Makes one clean texture for a scanned mesh from photographs with known cameras",
    icon="OUTLINER_OB_CAMERA",
    params=ScanTextureParams,
    number=3,
    version=2,  # without `legacy`, parts without UVs are unwrapped beside the others
    repeats=(1,),
    makes="surface",
    devices=("cpu", "cuda"),
    weights=("vgg19",),
    inputs=(
        Port(
            name="images",
            kind=PHOTOGRAPH,
            many=True,
            label="Photographs",
            help="The photographs, in the cameras' order",
        ),
        Port(
            name="mesh",
            kind=MESH,
            optional=True,
            label="Mesh",
            help="The scanned surface; needed unless UV maps are given",
        ),
        Port(name="cameras", kind=CAMERAS, optional=True, label="Cameras", help="Where each photograph was taken from"),
        Port(
            name="occluders",
            kind=MESH,
            optional=True,
            label="Occluders",
            help="Surfaces that hide the mesh in the photographs and get no texture",
        ),
        Port(
            name="uv_maps",
            kind=UV_MAP,
            optional=True,
            many=True,
            label="UV Maps",
            help="For each photograph, the UV that each pixel shows; in place of mesh and cameras",
        ),
        Port(
            name="depth_maps",
            kind=DEPTH_MAP,
            optional=True,
            many=True,
            label="Depth Maps",
            help="For each UV map, the depth of its surface, by which silhouettes are found",
        ),
        Port(
            name="facing_maps",
            kind=MASK,
            optional=True,
            many=True,
            label="Facing Maps",
            help="For each UV map, the cosine between surface normal and line of sight",
        ),
        Port(
            name="masks",
            kind=MASK,
            optional=True,
            many=True,
            label="Masks",
            help="For each photograph, which pixels count: 1 fully, 0 not at all",
        ),
    ),
    outputs=(
        Port(name="texture", kind=TEXTURE, many=True, label="Texture", help="The texture, one image per UDIM tile"),
        Port(
            name="coverage",
            kind=COUNT_MAP,
            many=True,
            label="Coverage",
            help="How many photographs show each texel",
        ),
        Port(
            name="confidence",
            kind=MASK,
            many=True,
            label="Confidence",
            help="How reliable each texel is; 0 is filled from its surroundings",
        ),
        Port(
            name="mesh",
            kind=MESH,
            optional=True,
            label="Mesh",
            help="The mesh with the UVs that the texture belongs to",
        ),
        Port(
            name="report",
            kind=REPORT,
            label="Report",
            help="Each photograph's residual, gain and shift, the PSNR of those held out, and those that did not fit",
        ),
    ),
    presets=(
        Preset(name="scan", label="Scan", help="Photographs of a still object with known cameras", values={}),
        Preset(
            name="exact",
            label="Exact Poses",
            help="Renderings or a calibrated rig: nothing is aligned, no exposure is equalised",
            values={"alignment": "none", "color_correction": "none"},
        ),
        Preset(
            name="draft",
            label="Draft",
            help="A quick look: one pass, no warp",
            values={"size": 1024, "passes": 1, "alignment": "shift"},
        ),
        Preset(
            name="refined",
            label="Refined",
            help="The solved texture, then gradient descent on NeuralTexGen's losses without its networks",
            values={"refinement": "refine"},
        ),
        Preset(
            name="neuraltexgen",
            label="NeuralTexGen",
            help="The published formula, started from grey; needs VGG-19's weights unless Content and Style are 0",
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
