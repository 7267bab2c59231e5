"""Generate, and one operator an engine, made from its declaration.

    bpy.ops.relievo.ENGINE(height="Terrain", seed=7)

In a window they submit and return, and the timer puts the result into the scene; in background mode they return
when it is there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy

from .. import pump, requests, typed
from ..inputs import edited, scan_sources, sources
from ..placing import image_editors
from ..readers import table as readers
from ..requests import Request
from ..settings import feeds, map_extent, properties, property_table, uv_fill
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.arrays import CAMERAS, HEIGHT_MAP, MESH
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from ..writers import record
from ..writers import table as writers
from .reporting import reports_errors


def run(operator: bpy.types.Operator, context: bpy.types.Context, request: Request) -> set[str]:
    """Submit; in background mode wait until the result is in the scene."""
    pump.connect()
    job = requests.submit(pump.session(), context, request, generation=pump.generation())
    for warning in job.warnings:
        operator.report({"WARNING"}, warning)
    if bpy.app.background:
        pump.wait(job)
        if job.held:
            raise InvalidInput(f"{job.label} {job.held}.")
    pump.hurry()
    return {"FINISHED"}


class RELIEVO_OT_generate(bpy.types.Operator):
    """Compute with the settings of the engine that is chosen in the sidebar"""

    bl_idname = "relievo.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    algorithm: bpy.props.StringProperty(
        name="Engine", description="Name of the engine; empty for the chosen one", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if reason := why_not(context):
            cls.poll_message_set(reason)
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        spec = find(algorithms(), self.algorithm or context.scene.relievo.algorithm)
        return run(self, context, requests.from_settings(context, spec))


def why_not(context: bpy.types.Context, spec: AlgorithmSpec | None = None, shown: bpy.types.Image | None = None) -> str:
    """Why Generate is greyed out, "" when it is not. spec: None for the scene's engine. shown: an image that is the first sample.
    No I/O: asked at every redraw.
    """
    session = pump.current()
    spec = spec or find(algorithms(), context.scene.relievo.algorithm)
    if session is not None:
        standing = session.standing
        if standing.action in ("install", "update", "cancel_install"):
            return standing.sentence
        if reason := session.why_unavailable(spec):
            return reason
    return requests.why_not(context, spec, shown)


def new_terrain() -> AlgorithmSpec:
    """The engine of Add > Mesh: the first that makes a terrain of nothing."""
    return next(spec for spec in algorithms() if readers.output_for(spec, HEIGHT_MAP))


class RELIEVO_OT_texture_from_image(bpy.types.Operator):
    """Make a texture or a painting of the image that the Image Editor shows, with the settings below, and show it there"""

    bl_idname = "relievo.texture_from_image"
    bl_label = "From This Image"
    bl_options = {"REGISTER"}

    image: bpy.props.StringProperty(
        name="Image", description="Name of the image; empty for the image editor's", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        shown, spec = edited.sample(context), edited.engine(context.scene)
        if spec is not None and shown is not None and (reason := why_not(context, spec, shown)):
            cls.poll_message_set(reason)
            return False
        return spec is not None

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        image = bpy.data.images.get(self.image) if self.image else edited.sample(context)
        if image is None:
            raise InvalidInput(f"There is no image {self.image!r}." if self.image else "No image is shown.")
        spec = typed.present(edited.engine(context.scene))
        request = requests.from_settings(context, spec, shown=image)
        return run(self, context, replace(request, notes={**request.notes, image_editors.EDITED: image.name}))


class RELIEVO_OT_use_engine(bpy.types.Operator):
    """Choose this engine in the sidebars"""

    bl_idname = "relievo.use_engine"
    bl_label = "Use Engine"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(name="Engine", description="Name of the engine", options={"SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, given: Any) -> str:
        found = next((spec for spec in algorithms() if spec.name == given.algorithm), None)
        return found.summary.rstrip(".") if found is not None else (cls.__doc__ or "")

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        typed.settings(context.scene).algorithm = find(algorithms(), self.algorithm).name
        return {"FINISHED"}


class RELIEVO_OT_add_terrain(bpy.types.Operator):
    """Add a new terrain with the engine's present settings"""

    bl_idname = "relievo.add_terrain"
    bl_label = "Relievo Terrain"
    bl_options = {"REGISTER"}

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, context, requests.from_settings(context, new_terrain()))


class RELIEVO_OT_roll_seed(bpy.types.Operator):
    """New random seed"""

    bl_idname = "relievo.roll_seed"
    bl_label = "New Seed"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(
        name="Engine", description="Name of the engine; empty for the chosen one", options={"SKIP_SAVE"}
    )

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        spec = find(algorithms(), self.algorithm or context.scene.relievo.algorithm)
        properties.write(context.scene, spec, requests.new_seeds(spec))
        return {"FINISHED"}


class RELIEVO_OT_apply_preset(bpy.types.Operator):
    """Set the engine's settings to a preset's; seed and size stay as they are unless it names them"""

    bl_idname = "relievo.apply_preset"
    bl_label = "Apply Preset"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(options={"SKIP_SAVE"})
    preset: bpy.props.StringProperty(options={"SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, given: Any) -> str:
        preset = next(
            (
                preset
                for spec in algorithms()
                if spec.name == given.algorithm
                for preset in spec.presets
                if preset.name == given.preset
            ),
            None,
        )
        return preset.help.rstrip(".") if preset is not None else (cls.__doc__ or "")

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        spec = find(algorithms(), self.algorithm or context.scene.relievo.algorithm)
        properties.apply_preset(context.scene, spec, spec.preset(self.preset))
        return {"FINISHED"}


# One operator an engine ---------------------------------------------------------------------------------------


def _engine_operator(spec: AlgorithmSpec) -> type:
    annotations: dict[str, Any] = properties.parameter_annotations(spec, scene_units=False)
    for port in spec.inputs:
        if not scan_sources.follows_cameras(spec, port):
            annotations[_port_name(spec, port.name)] = bpy.props.StringProperty(
                name=port.label, description=f"{port.help}: {_words_for(port)}"
            )
    annotations["preset"] = bpy.props.StringProperty(
        name="Preset", description="Preset for all settings that are not given"
    )
    writer = writers.of(spec)
    annotations["output"] = bpy.props.EnumProperty(
        name=writer.label, description=writer.help, items=writer.items, default=writer.items[0][0]
    )
    if writers.has_rivers(spec):
        annotations["show_rivers"] = properties.rivers_annotation()  # "rivers" is a parameter of one of them
    if not writer.goes_on_mesh:
        annotations["target"] = bpy.props.StringProperty(
            name="Replace", description="Name of the object to replace; empty for a new one"
        )
    elif scan_sources.surface_port(spec) is None:
        annotations["target"] = bpy.props.StringProperty(
            name="Mesh", description="Name of the mesh that gets the material; empty for the selected one"
        )
        if uv_fill.can_fill(spec):
            annotations |= properties.uv_annotations()

    def execute(self: Any, context: bpy.types.Context) -> set[str]:
        return run(self, context, _request_from_operator(self, context, spec))

    body = {
        "__doc__": spec.summary.rstrip("."),
        "__annotations__": annotations,
        "bl_idname": f"relievo.{spec.name}",
        "bl_label": spec.label,
        "bl_options": {"REGISTER"},
        "execute": reports_errors(execute),
    }
    return type(f"RELIEVO_OT_{spec.name}", (bpy.types.Operator,), body)


_WORDS = {
    "image": "an image",
    "material": "a material",
    "mesh": "a mesh",
    "exemplar": "a landscape",
    "sketch": "a sketch",
    "drawing": "selection, drawing:COLLECTION",
    "materials": "materials:MESH",
    "view": "view",
    "surface": "surface:MESH",
    "strokes": "strokes:PAINTING",
    "engine": "the name of an engine",
}


def _words_for(port: Port) -> str:
    """What an operator takes for a port."""
    if port.kind is CAMERAS:
        return 'the name of a collection, or camera names separated by ";"'
    if port.kind is MESH:
        return "the name of a mesh" + (", or collection:NAME" if port.optional else "")
    rows = readers.readers_of(port)
    words = [word for name, word in _WORDS.items() if name in rows]
    listed = ", ".join([*words[:-2], " or ".join(words[-2:])])
    return listed + (', several separated by ";"' if port.many else "")


def _port_name(spec: AlgorithmSpec, port: str) -> str:
    """A port's own name unless a parameter has it."""
    return (
        f"{port}_input" if port in {property_table.property_name(parameter) for parameter in spec.parameters} else port
    )


def _request_from_operator(operator: Any, context: bpy.types.Context, spec: AlgorithmSpec) -> Request:
    params: dict[str, Any] = dict(spec.preset(operator.preset).values) if operator.preset else {}
    for parameter in spec.parameters:
        name = property_table.property_name(parameter)
        if operator.properties.is_property_set(name) or parameter.name not in params:
            params[parameter.name] = properties.to_json(parameter, getattr(operator, name))
    texts = {port.name: getattr(operator, _port_name(spec, port.name), "") for port in spec.inputs}
    given = sources.collect(context.scene, spec, sources.selected(context), texts, params=params)
    for name, value in map_extent.brought(context.scene, spec, given, context).items():
        if not operator.properties.is_property_set(name):
            params[name] = value
    target = getattr(operator, "target", "")
    if target and target not in bpy.data.objects:
        raise InvalidInput(f"There is no object {target!r}.", field="target")
    target = target or requests.selected_mesh(context, spec)
    filling = (
        requests.filled_by(context, spec, target, operator.texel_density)
        if getattr(operator, "fill_uvs", False)
        else {}
    )
    params |= {name: value for name, value in filling.items() if not operator.properties.is_property_set(name)}
    return Request(
        spec=spec,
        params=params,
        sources=given,
        feeds=feeds.from_settings(context.scene, spec, given),
        output=operator.output,
        target=target,
        preview=not bpy.app.background,
        tagged=True,
        notes={
            **({record.FILLS_UVS: True} if filling else {}),
            **({requests.RIVERS: operator.show_rivers} if writers.has_rivers(spec) else {}),
        },
    )


_CLASSES = (
    RELIEVO_OT_generate,
    RELIEVO_OT_texture_from_image,
    RELIEVO_OT_use_engine,
    RELIEVO_OT_add_terrain,
    RELIEVO_OT_roll_seed,
    RELIEVO_OT_apply_preset,
)
_registered: list[type] = []


def register() -> None:
    _registered[:] = [*_CLASSES, *(_engine_operator(spec) for spec in algorithms())]
    for cls in _registered:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(_registered):
        bpy.utils.unregister_class(cls)
    _registered.clear()
