"""Operators about what goes in: a height image from a file, more exemplars, fewer of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import typed
from ..shared.errors import InvalidInput
from .reporting import reports_errors

IMAGES = "*.exr;*.tif;*.tiff;*.png;*.hdr;*.jp2"


class RELIEVO_OT_load_height_image(bpy.types.Operator):
    """Open a height image: EXR and TIFF in metres, or 16-bit PNG and TIFF from black to white"""

    bl_idname = "relievo.load_height_image"
    bl_label = "Open Height Image"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default=IMAGES, options={"HIDDEN"})  # type: ignore[valid-type]
    algorithm: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    port: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    index: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            raise InvalidInput(f"There is no file {path}.", field="filepath")
        try:
            image = bpy.data.images.load(str(path), check_existing=True)
        except RuntimeError as error:
            raise InvalidInput(
                f"{path.name} is no image that Blender reads: {error}.", hint="EXR, TIFF and PNG are."
            ) from error
        typed.set_color_space(image, "Non-Color")
        if not typed.size(image)[0]:
            bpy.data.images.remove(image)
            raise InvalidInput(f"{path.name} is broken or no image.", hint="Open it in another program to see.")
        if self.port:
            settings = picker(context.scene, self.algorithm, self.port, self.index)
            settings.source, settings.image = "IMAGE", image
            if image.is_float and path.suffix.lower() in (".exr", ".tif", ".tiff"):
                settings.meaning = "METRES"
        return {"FINISHED"}


def picker(scene: bpy.types.Scene, algorithm: str, port: str, index: int) -> Any:
    """The settings of a port's input; index 0 is the first, the rest of a port of many follow."""
    group = getattr(typed.settings(scene), algorithm)
    return getattr(group, f"from_{port}") if index == 0 else getattr(group, f"more_{port}")[index - 1]


class RELIEVO_OT_add_input(bpy.types.Operator):
    """Take one more input here"""

    bl_idname = "relievo.add_input"
    bl_label = "Add"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]
    port: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        getattr(getattr(context.scene.relievo, self.algorithm), f"more_{self.port}").add()
        return {"FINISHED"}


class RELIEVO_OT_remove_input(bpy.types.Operator):
    """Leave this input out again"""

    bl_idname = "relievo.remove_input"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]
    port: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]
    index: bpy.props.IntProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        getattr(getattr(context.scene.relievo, self.algorithm), f"more_{self.port}").remove(self.index - 1)
        return {"FINISHED"}


CLASSES = (RELIEVO_OT_load_height_image, RELIEVO_OT_add_input, RELIEVO_OT_remove_input)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
