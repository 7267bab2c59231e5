"""A colour image in, the maps of a material out."""

from __future__ import annotations

from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import COLOR_IMAGE, TEXTURE_SET
from shared.params import param


@dataclass(frozen=True, kw_only=True)
class ToyMaterialParams:
    """How rough the material is."""

    roughness: float = param(0.6, label="Roughness", help="Roughness of the darkest colour", min=0.0, max=1.0)


SPEC = AlgorithmSpec(
    name="toy_material",
    label="Toy Material",
    summary="Makes the maps of a material from one image",
    icon="MATERIAL",
    params=ToyMaterialParams,
    number=2002,
    makes="surface",
    inputs=(Port(name="image", kind=COLOR_IMAGE, label="Image", help="What the material looks like"),),
    outputs=(Port(name="material", kind=TEXTURE_SET, label="Material", help="The maps that belong together"),),
)
