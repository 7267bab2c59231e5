"""Shader nodes as expressions: each method adds one node and returns its output, so that a material reads like its
formula.
"""

from __future__ import annotations

import bpy

from .. import typed

Socket = bpy.types.NodeSocket
Value = bpy.types.NodeSocket | float
Color = bpy.types.NodeSocket | tuple[float, float, float]


class ShaderGraph:
    """Writes into a node tree. Nodes are laid out in columns of the order in which they are made."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self._count = 0

    def node(self, kind: str, **settings: object) -> bpy.types.Node:
        made = typed.new_node(self.tree, kind, **settings)
        made.location = (220 * (self._count // 6) - 2400, 600 - 220 * (self._count % 6))
        self._count += 1
        return made

    def feed(self, socket: Socket, value: Value | Color) -> None:
        """Link or set an input."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif isinstance(value, tuple):
            is_color = isinstance(socket, bpy.types.NodeSocketColor)  # or a vector
            typed.set_value(socket, (*value, 1.0) if is_color else value)
        else:
            typed.set_value(socket, value)

    def math(self, operation: str, *values: Value, clamp: bool = False) -> Socket:
        made = self.node("ShaderNodeMath", operation=operation, use_clamp=clamp)
        for socket, value in zip(made.inputs, values, strict=False):
            self.feed(socket, value)
        return made.outputs["Value"]

    def smoothstep(self, value: Value, low: float, high: float) -> Socket:
        """0 at low, 1 at high, smooth between; low may be the larger."""
        made = self.node("ShaderNodeMapRange", interpolation_type="SMOOTHSTEP")
        self.feed(made.inputs["Value"], value)
        self.feed(made.inputs["From Min"], min(low, high))
        self.feed(made.inputs["From Max"], max(low, high))
        self.feed(made.inputs["To Min"], 0.0 if low < high else 1.0)
        self.feed(made.inputs["To Max"], 1.0 if low < high else 0.0)
        return made.outputs["Result"]

    def mix(self, factor: Value, below: Color, above: Color, *, beyond: bool = False) -> Socket:
        """Colours: below where the factor is 0, above where it is 1; beyond: and further on where it is larger."""
        made = self.node("ShaderNodeMix", data_type="RGBA", clamp_factor=not beyond)
        sockets = {socket.identifier: socket for socket in made.inputs}
        self.feed(sockets["Factor_Float"], factor)
        self.feed(sockets["A_Color"], below)
        self.feed(sockets["B_Color"], above)
        return next(socket for socket in made.outputs if socket.identifier == "Result_Color")

    def vector(self, operation: str, first: Color, second: Color) -> Socket:
        """Vectors or colours, each number by itself."""
        made = self.node("ShaderNodeVectorMath", operation=operation)
        self.feed(made.inputs[0], first)
        self.feed(made.inputs[1], second)
        return made.outputs["Vector"]

    def scaled(self, vector: Color, factor: Value) -> Socket:
        """A vector or colour times a number."""
        made = self.node("ShaderNodeVectorMath", operation="SCALE")
        self.feed(made.inputs[0], vector)
        self.feed(made.inputs["Scale"], factor)
        return made.outputs["Vector"]

    def length(self, vector: Socket) -> Socket:
        made = self.node("ShaderNodeVectorMath", operation="LENGTH")
        self.feed(made.inputs[0], vector)
        return made.outputs["Value"]

    def luminance(self, color: Socket) -> Socket:
        made = self.node("ShaderNodeRGBToBW")
        self.feed(made.inputs[0], color)
        return made.outputs[0]

    def fractal(
        self, vector: Socket, scale: Value, *, detail: float = 6.0, roughness: float = 0.6, flat: bool = False
    ) -> Socket:
        """Blender's own fractal texture, around 0.5; flat: of x and y alone, which costs less."""
        made = self.node("ShaderNodeTexNoise", noise_dimensions="2D" if flat else "3D")
        self.feed(made.inputs["Vector"], vector)
        self.feed(made.inputs["Scale"], scale)
        self.feed(made.inputs["Detail"], detail)
        self.feed(made.inputs["Roughness"], roughness)
        return made.outputs[0]

    def attribute(self, name: str, *, of_object: bool = False) -> Socket:
        """A number of the mesh, or of the object as a whole; 0 where there is none of this name."""
        return self.node(
            "ShaderNodeAttribute", attribute_type="OBJECT" if of_object else "GEOMETRY", attribute_name=name
        ).outputs["Fac"]

    def image(self, image: bpy.types.Image) -> bpy.types.Node:
        """An image at the mesh's UV map, linear between pixels."""
        return self.node("ShaderNodeTexImage", image=image, interpolation="Linear", extension="EXTEND")
