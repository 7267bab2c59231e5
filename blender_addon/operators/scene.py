"""Operators that change the scene without computing: light and camera for a terrain, a terrain of an image's heights.

No backend is asked, so both work while none is installed.
"""

from __future__ import annotations

import bpy

from .. import pump, requests, typed
from ..inputs import edited
from ..link.job_records import Job
from ..placing import places, viewport
from ..readers import images as drawn
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from ..writers import base, images, stage, table, terrain
from .reporting import reports_errors
from .results import carried_by

_OBJECTS = [item for item in table.WRITERS["terrain"].items if item[0] != "IMAGES"]


class RELIEVO_OT_set_up_view(bpy.types.Operator):
    """Add a low sun, a sky and a camera that show the selected terrain's relief, and look through that camera"""

    bl_idname = "relievo.set_up_view"
    bl_label = "Set Up View"
    bl_options = {"REGISTER", "UNDO"}

    sun_azimuth: bpy.props.FloatProperty(
        name="Sun Direction",
        description="Direction of the sun, clockwise from +Y",
        default=stage.View.sun_azimuth,
        min=0.0,
        max=360.0,
    )
    sun_elevation: bpy.props.FloatProperty(
        name="Sun Height",
        description="Degrees above the horizon; low shows relief",
        default=stage.View.sun_elevation,
        min=1.0,
        max=90.0,
    )
    azimuth: bpy.props.FloatProperty(
        name="Camera Direction",
        description="Direction of the camera, clockwise from +Y",
        default=stage.View.azimuth,
        min=0.0,
        max=360.0,
    )
    elevation: bpy.props.FloatProperty(
        name="Camera Height",
        description="Degrees above the horizon",
        default=stage.View.elevation,
        min=1.0,
        max=89.0,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = context.active_object
        if item is None or item.type != "MESH":
            cls.poll_message_set("Select a terrain")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        view = stage.View(
            azimuth=self.azimuth,
            elevation=self.elevation,
            sun_azimuth=self.sun_azimuth,
            sun_elevation=self.sun_elevation,
        )
        stage.set_up(context.scene, typed.present(context.active_object), view)
        if isinstance(context.space_data, bpy.types.SpaceView3D):
            typed.present(context.space_data.region_3d).view_perspective = "CAMERA"
        return {"FINISHED"}


class RELIEVO_OT_base(bpy.types.Operator):
    """Walls and an underside for the selected terrain, so that it is a solid block; pressed again, they go"""

    bl_idname = "relievo.base"
    bl_label = "Solid Base"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = carried_by(context.active_object)
        if item is None or not base.can_have_one(item):
            cls.poll_message_set("Select a terrain that is no plane displaced by Cycles")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        item = typed.present(carried_by(context.active_object))
        if base.modifier_of(item) is None:
            base.put_on(item)
        else:
            base.remove(item)
        return {"FINISHED"}


class RELIEVO_OT_terrain_from_image(bpy.types.Operator):
    """Make a terrain of an image's heights as they are"""

    bl_idname = "relievo.terrain_from_image"
    bl_label = "Terrain from Image"
    bl_options = {"REGISTER", "UNDO"}

    image: bpy.props.StringProperty(name="Image", description="Empty for the image editor's", options={"SKIP_SAVE"})
    width_m: bpy.props.FloatProperty(
        name="Width", description="Width of the image on the ground, in metres", default=10000.0, min=0.01
    )
    meaning: bpy.props.EnumProperty(
        name="Values",
        description="What the image's values mean",
        items=[
            ("METRES", "Metres", "Every value is a height in metres"),
            ("RANGE", "0 to 1", "Black is the lowest point, white the highest"),
        ],
    )
    low_m: bpy.props.FloatProperty(name="Lowest", description="Height of black, in metres", default=0.0)
    high_m: bpy.props.FloatProperty(name="Highest", description="Height of white, in metres", default=1000.0)
    output: bpy.props.EnumProperty(name="Result", items=_OBJECTS, default="MESH")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        image = edited.image_of(context)
        if image is not None:
            self.image = image.name
            self.meaning = "METRES" if image.is_float else "RANGE"
            if pixel_size_m := images.pixel_size_of(image):
                self.width_m = pixel_size_m * typed.size(image)[0]
                self.meaning = "METRES"
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        column = typed.present(self.layout).column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(self, "width_m")
        column.prop(self, "meaning")
        if self.meaning == "RANGE":
            column.prop(self, "low_m")
            column.prop(self, "high_m")
        column.prop(self, "output")

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        image = bpy.data.images.get(self.image) if self.image else edited.image_of(context)
        if image is None:
            raise InvalidInput(f"There is no image {self.image!r}." if self.image else "No image is shown.")
        if context.mode != "OBJECT":
            raise InvalidInput("A terrain can only be made in Object Mode.", hint="Leave the current mode first.")
        scale, offset_m = (self.high_m - self.low_m, self.low_m) if self.meaning == "RANGE" else (1.0, 0.0)
        columns = max(1, typed.size(image)[0])
        heights = drawn.height_map(image, pixel_size_m=self.width_m / columns, scale=scale, offset_m=offset_m)
        width = self.width_m / metres_per_unit(typed.present(context.scene))
        x, y, z = places.free(context.scene, tuple(context.scene.cursor.location), width, _waiting())
        recipe = requests.recipe_on(image)
        made = terrain.make(
            {"height": heights},
            kind=self.output,
            name=image.name,
            location=(x, y, z),
            recipe={**recipe, "scene": {**recipe.get("scene", {}), "output": self.output}} if recipe else None,
            scene=context.scene,
        )
        item = typed.of(made, bpy.types.Object)
        viewport.select(item)
        if not bpy.app.background:
            viewport.frame(item)
        return {"FINISHED"}


def _waiting() -> list[Job]:
    """Jobs that have been given a place in this file."""
    session = pump.current()
    return places.rivals(session.jobs.values(), pump.generation()) if session is not None else []


CLASSES = (RELIEVO_OT_set_up_view, RELIEVO_OT_base, RELIEVO_OT_terrain_from_image)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
