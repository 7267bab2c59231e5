"""Operators for sketches: a new one, and painting on it with a class."""

from __future__ import annotations

from typing import Any

import bpy

from .. import pump, typed
from ..datablocks import class_tags, sketch
from ..inputs import sketch_sources
from ..placing import drafts, paint_mode, places, viewport
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from ..writers import sketches
from .reporting import reports_errors

_items: list[tuple[str, str, str, int]] = []  # Blender keeps no strings of an enumeration that is made at run time


def _class_items(operator: Any, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
    """The classes of the engine that the sketch is for."""
    found = _engine_of(getattr(operator, "algorithm", ""), context)
    classes = found[1].classes if found is not None else ()
    _items[:] = [(str(number), name, "", number) for number, (name, _) in enumerate(classes)] or [("0", "0", "", 0)]
    return _items


def _engine_of(name: str, context: bpy.types.Context | None) -> tuple[AlgorithmSpec, Port] | None:
    """The engine of that name, else the one in the sidebar, else the first that takes a sketch, with its port; None for none."""
    if name:
        return sketch_sources.with_port(find(algorithms(), name))
    chosen = find(algorithms(), typed.settings(context.scene).algorithm) if context is not None else None
    for spec in (*((chosen,) if chosen is not None else ()), *algorithms()):
        if found := sketch_sources.with_port(spec):
            return found
    return None


class RELIEVO_OT_new_sketch(bpy.types.Operator):
    """Add a plane of a real size with an image of classes, and paint on it"""

    bl_idname = "relievo.new_sketch"
    bl_label = "New Sketch"
    bl_options = {"REGISTER", "UNDO"}

    size_m: bpy.props.FloatProperty(
        name="Size (m)",
        description="Metres on the ground along the longer side",
        default=20000.0,
        min=1.0,
        max=50_000_000.0,
        soft_min=1000.0,
        soft_max=1_000_000.0,
        precision=0,
        step=100000,
    )
    width_px: bpy.props.IntProperty(
        name="Width", description="Pixels from left to right", default=512, min=16, max=8192, subtype="PIXEL"
    )
    height_px: bpy.props.IntProperty(
        name="Height", description="Pixels from bottom to top", default=512, min=16, max=8192, subtype="PIXEL"
    )
    fill: bpy.props.EnumProperty(name="Fill", description="The class that is everywhere at first", items=_class_items)
    algorithm: bpy.props.StringProperty(
        name="Engine", description="Name of the engine; empty for the chosen one", options={"HIDDEN", "SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        column = typed.present(self.layout).column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(self, "size_m")
        column.prop(self, "width_px")
        column.prop(self, "height_px")
        column.prop(self, "fill")
        pixel_m = self.size_m / max(self.width_px, self.height_px)
        column.label(text=f"{pixel_m:,.4g} m per pixel")

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        found = _engine_of(self.algorithm, context)
        if found is None:
            raise InvalidInput("No engine takes a sketch.", hint="Update the add-on.")
        spec, port = found
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        scene = typed.present(context.scene)
        item = sketches.make(
            "Sketch",
            shape=(self.height_px, self.width_px),
            size_m=self.size_m,
            classes=port.classes,
            fill=int(self.fill),
            location=self._place(context),
            scene=scene,
        )
        typed.settings(scene).algorithm = spec.name
        picker = getattr(getattr(typed.settings(scene), spec.name), f"from_{port.name}")
        picker.source, picker.object = "SKETCH", item
        viewport.select(item)
        if not bpy.app.background and typed.settings(scene).output.frame:
            viewport.frame_beside(item)
        paint_mode.start(context, item, port.classes)
        if not bpy.app.background and picker.live:
            drafts.warm_up(pump.session(), spec, item)
            pump.hurry()
        return {"FINISHED"}

    def _place(self, context: bpy.types.Context) -> tuple[float, float, float]:
        """At the 3D cursor, or beside what stands there."""
        width = self.size_m / metres_per_unit(context.scene)
        session = pump.current()
        waiting = places.rivals(session.jobs.values(), pump.generation()) if session is not None else []
        x, y, z = places.free(context.scene, tuple(context.scene.cursor.location), width, waiting)
        return x, y, z


class RELIEVO_OT_paint_class(bpy.types.Operator):
    """Paint on the sketch with this class: a hard brush in its exact colour"""

    bl_idname = "relievo.paint_class"
    bl_label = "Paint"
    bl_options = {"REGISTER", "UNDO"}

    number: bpy.props.IntProperty(
        name="Class", description="Number of the class; below 0 for the last one", default=-1, min=-1, max=255
    )
    sketch: bpy.props.StringProperty(
        name="Sketch", description="Name of the sketch; empty for the chosen one", options={"SKIP_SAVE"}
    )
    algorithm: bpy.props.StringProperty(
        name="Engine", description="Name of the engine; empty for the chosen one", options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def description(cls, context: bpy.types.Context, given: Any) -> str:
        found = _engine_of(given.algorithm, context)
        if found is not None and 0 <= given.number < len(found[1].classes):
            return f"Paint {found[1].classes[given.number][0]}: a hard brush in its exact colour"
        return cls.__doc__ or ""

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        found = _engine_of(self.algorithm, context)
        if found is None:
            raise InvalidInput("No engine takes a sketch.", hint="Update the add-on.")
        spec, port = found
        if self.number >= len(port.classes):
            raise InvalidInput(f"There is no class {self.number}.", hint=f"The last one is {len(port.classes) - 1}.")
        item = (
            context.scene.objects.get(self.sketch)
            if self.sketch
            else sketch_sources.picked(context.scene, spec, port, context.active_object)
        )
        if item is None or sketch.image_of(item) is None:
            raise InvalidInput("There is no sketch to paint on.", hint="Press New Sketch.")
        paint_mode.start(context, item, port.classes, self.number if self.number >= 0 else None)
        return {"FINISHED"}


class RELIEVO_OT_copy_class(bpy.types.Operator):
    """Give all selected meshes the class of the active one"""

    bl_idname = "relievo.copy_class"
    bl_label = "Copy Class to Selected"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.active_object is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        number = class_tags.of(context.active_object)
        for item in context.selected_objects or ():
            if item.type == "MESH":
                class_tags.put_on(item, number)
        return {"FINISHED"}


CLASSES = (RELIEVO_OT_new_sketch, RELIEVO_OT_paint_class, RELIEVO_OT_copy_class)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
