"""Unwrap: the operator that gives the mesh of a scan UVs, by Blender's own Smart UV Project.

The backend can unwrap as well, but only what is made of triangles; this goes for any mesh, and shows the UVs before anything is
computed.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import typed
from ..inputs import scan_sources
from ..shared.algorithm import AlgorithmSpec
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from .reporting import reports_errors

LAYER = "Relievo"


class RELIEVO_OT_unwrap(bpy.types.Operator):
    """Unfold the mesh of the scan with Smart UV Project, into a UV layer of its own"""

    bl_idname = "relievo.unwrap"
    bl_label = "Unwrap"
    bl_options = {"REGISTER", "UNDO"}

    mesh: bpy.props.StringProperty(
        name="Mesh", description="Name of the mesh; empty for the picked or the active one", options={"SKIP_SAVE"}
    )
    angle_limit: bpy.props.FloatProperty(
        name="Angle Limit",
        description="Angle limit: sharper edges become seams",
        default=1.1519,
        min=0.0,
        max=1.5708,
        subtype="ANGLE",
    )
    island_margin: bpy.props.FloatProperty(
        name="Margin",
        description="Margin between UV islands, as a share of the texture",
        default=0.002,
        min=0.0,
        max=0.1,
    )

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        item = bpy.data.objects.get(self.mesh) if self.mesh else _scanned(context)
        if item is None or item.type != "MESH" or item.name not in context.view_layer.objects:
            raise InvalidInput(
                f"There is no mesh {self.mesh!r} in the scene." if self.mesh else "No mesh is picked or selected.",
                hint="Select a mesh.",
                field="mesh",
            )
        if context.mode != "OBJECT":
            raise InvalidInput("A mesh can only be unwrapped in Object Mode.", hint="Leave the current mode first.")
        mesh = typed.mesh(item)
        if not len(mesh.polygons):
            raise InvalidInput(f"The mesh {item.name!r} has no faces.", hint="Pick another mesh.", field=item.name)
        if item.library is not None or mesh.library is not None:
            raise InvalidInput(f"The mesh {item.name!r} is linked from another file.", hint="Make it local first.")
        if not item.visible_get() and not item.hide_get():
            raise InvalidInput(
                f"The mesh {item.name!r} is hidden with its collection.", hint="Show the collection.", field=item.name
            )
        layer = mesh.uv_layers.get(LAYER) or mesh.uv_layers.new(name=LAYER, do_init=False)
        if layer is None:
            raise InvalidInput(
                f"The mesh {item.name!r} cannot have another UV map: 8 is Blender's limit.", hint="Remove one."
            )
        layer.active = layer.active_render = True
        _project(item, context, self.angle_limit, self.island_margin)
        return {"FINISHED"}


def _scanned(context: bpy.types.Context) -> bpy.types.Object | None:
    spec = _spec_with_cameras(context)
    port = scan_sources.surface_port(spec) if spec is not None else None
    picked = (
        getattr(getattr(typed.settings(context.scene), spec.name), f"from_{port.name}").object
        if spec and port
        else None
    )
    return picked or context.active_object


def _spec_with_cameras(context: bpy.types.Context) -> AlgorithmSpec | None:
    """The engine that is chosen, if it works from cameras, else the first that does."""
    taking = [spec for spec in algorithms() if scan_sources.has_cameras(spec)]
    return next(
        (spec for spec in taking if spec.name == typed.settings(context.scene).algorithm), taking[0] if taking else None
    )


def _project(item: bpy.types.Object, context: bpy.types.Context, angle_limit: float, margin: float) -> None:
    """Smart UV Project over the whole mesh. Selection, active object, hidden faces and their selection are as before."""
    layer = context.view_layer
    active, selected = layer.objects.active, [other for other in layer.objects if other.select_get()]
    mesh = typed.mesh(item)
    kept = {name: _flags(mesh, name) for name in ("hide", "select")}
    was_hidden = item.hide_get()
    try:
        for other in selected:
            other.select_set(False)
        item.hide_set(False)
        item.select_set(True)
        layer.objects.active = item
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.reveal(select=False)
        bpy.ops.mesh.select_all(action="SELECT")
        bpy.ops.uv.smart_project(angle_limit=angle_limit, island_margin=margin, area_weight=0.0, correct_aspect=False)
    finally:
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        for name, flags in kept.items():
            for part, values in flags.items():
                getattr(mesh, part).foreach_set(name, values)
        item.select_set(False)
        item.hide_set(was_hidden)
        for other in selected:
            other.select_set(True)
        layer.objects.active = active


def _flags(mesh: bpy.types.Mesh, name: str) -> dict[str, np.ndarray]:
    """A flag of all vertices, edges and faces."""
    found = {}
    for part in ("vertices", "edges", "polygons"):
        found[part] = np.empty(len(getattr(mesh, part)), bool)
        getattr(mesh, part).foreach_get(name, found[part])
    return found


def register() -> None:
    bpy.utils.register_class(RELIEVO_OT_unwrap)


def unregister() -> None:
    bpy.utils.unregister_class(RELIEVO_OT_unwrap)
