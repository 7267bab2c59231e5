"""Operators about what goes in: an image from a file, one more input, one less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import typed
from ..readers import table
from ..shared.algorithm import Port, find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from .reporting import reports_errors

IMAGES = "*.exr;*.tif;*.tiff;*.png;*.jpg;*.jpeg;*.webp;*.hdr;*.jp2"
DATA = "Non-Color"


class RELIEVO_OT_open_image(bpy.types.Operator):
    """Open an image for this input: colours as any image, numbers without a colour space"""

    bl_idname = "relievo.open_image"
    bl_label = "Open Image"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default=IMAGES, options={"HIDDEN"})
    algorithm: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    port: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    index: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, given: bpy.types.OperatorProperties) -> str:
        port = find_port(given.algorithm, given.port)  # type: ignore[attr-defined]
        reader = table.reader_of(port, "IMAGE") if port is not None else None
        if reader is not None and reader.has_range:
            return "Open a height image: EXR and TIFF in metres, or 16-bit PNG and TIFF from black to white"
        return cls.__doc__ or ""

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            raise InvalidInput(f"There is no file {path}.", field="filepath")
        port = find_port(self.algorithm, self.port)
        image = open_image(path, color_space_for(port) if port is not None else DATA)
        if port is not None:
            settings = picker(context.scene, self.algorithm, self.port, self.index)
            settings.source, settings.image = "IMAGE", image
            reader = table.reader_of(port, "IMAGE")
            is_metric = image.is_float and path.suffix.lower() in (".exr", ".tif", ".tiff")
            if reader is not None and reader.has_range and is_metric:
                settings.meaning = "METRES"
        return {"FINISHED"}


def color_space_for(port: Port) -> str:
    """The colour space that an image for a port is opened in; "" for Blender's own choice, which for colours is the right one.

    A class map with a palette is a picture whose colours count, one without is numbers; the image of a material is its base colour.
    """
    is_color = port.classes or port.kind.shows == "color"
    return DATA if port.kind.color_space == "data" and not is_color else ""


def open_image(path: Path, color_space: str) -> bpy.types.Image:
    """The image of a file, in a colour space ("" for Blender's choice). One that the file has already is taken as it is where its
    colour space fits, and left alone where it does not: then the same file is opened once more. Raises InvalidInput.
    """
    for image in bpy.data.images:
        is_file = image.source == "FILE" and image.library is None and image.filepath and not image.packed_file
        fits = not color_space or typed.color_space(image) == color_space
        if is_file and fits and Path(bpy.path.abspath(image.filepath)) == path:
            return image
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise InvalidInput(
            f"{path.name} is not an image that Blender reads: {error}.", hint="EXR, TIFF, PNG and JPEG are."
        ) from error
    if color_space:
        typed.set_color_space(image, color_space)
    if not typed.size(image)[0]:
        bpy.data.images.remove(image)
        raise InvalidInput(f"{path.name} is broken or not an image.", hint="Open it in another program to see.")
    return image


def find_port(algorithm: str, port: str) -> Port | None:
    """An engine's input port, None for names that are empty."""
    if not algorithm or not port:
        return None
    return next((entry for entry in find(algorithms(), algorithm).inputs if entry.name == port), None)


def picker(scene: bpy.types.Scene, algorithm: str, port: str, index: int) -> Any:
    """The settings of a port's input; index 0 is the first, the rest of a port of many follow."""
    group = getattr(typed.settings(scene), algorithm)
    return getattr(group, f"from_{port}") if index == 0 else getattr(group, f"more_{port}")[index - 1]


class RELIEVO_OT_add_input(bpy.types.Operator):
    """Take one more input here"""

    bl_idname = "relievo.add_input"
    bl_label = "Add"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(options={"SKIP_SAVE"})
    port: bpy.props.StringProperty(options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        getattr(getattr(typed.settings(context.scene), self.algorithm), f"more_{self.port}").add()
        return {"FINISHED"}


class RELIEVO_OT_remove_input(bpy.types.Operator):
    """Leave this input out again"""

    bl_idname = "relievo.remove_input"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}

    algorithm: bpy.props.StringProperty(options={"SKIP_SAVE"})
    port: bpy.props.StringProperty(options={"SKIP_SAVE"})
    index: bpy.props.IntProperty(options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        getattr(getattr(typed.settings(context.scene), self.algorithm), f"more_{self.port}").remove(self.index - 1)
        return {"FINISHED"}


CLASSES = (RELIEVO_OT_open_image, RELIEVO_OT_add_input, RELIEVO_OT_remove_input)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
