"""Import Cameras: the operator that brings a scan's cameras and photographs into the scene.

    bpy.ops.relievo.import_cameras(filepath="sparse/0", images="images")

Everything is read and checked before the first datablock is made: a wrong file leaves the scene as it was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from .. import options, typed
from ..readers import scans
from ..shared.arrays import CAMERAS
from ..shared.cameras import Camera, Cameras, read
from ..shared.cameras.flips import FLIPS, apply_flip, fitting_flip
from ..shared.cameras.image_header import image_size
from ..shared.catalog import algorithms
from ..shared.endpoint import default_data_dir
from ..shared.errors import InvalidInput, RelievoError, StorageFull
from ..writers import cameras, undistorted_backgrounds
from .reporting import reports_errors

FILES = "*.txt;*.bin;*.out;*.json;*.sfm;*.mvs;*.cam"
FAR = 1e-4  # of the cameras' spread: where Blender's 32 bits are coarser than that, poses suffer
POINTS = 20000  # of the mesh are looked at to see whether the cameras see it

_problem = ""


def problem() -> str:
    """Why the last import failed, "" where it did not; for draw()."""
    return _problem


class RELIEVO_OT_import_cameras(bpy.types.Operator):
    """Make cameras of a COLMAP model, a Bundler file, a Meshroom SfM file or a NeRF transforms.json, with their photographs"""

    bl_idname = "relievo.import_cameras"
    bl_label = "Import Cameras"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(name="File or Folder", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default=FILES, options={"HIDDEN"})
    images: bpy.props.StringProperty(
        name="Images",
        description="Folder with the photographs; empty to look where the file says, beside it, and in a folder images",
        subtype="DIR_PATH",
    )
    scale: bpy.props.FloatProperty(
        name="Scale", description="Scale factor from file units to Blender units", default=1.0, min=1e-6, max=1e6
    )
    up: bpy.props.EnumProperty(
        name="Up",
        description="Which axis of the file's world points up; the mesh must be rotated the same way",
        items=[
            ("FILE", "As in File", "Keep the file's axes, as Blender's PLY importer does"),
            ("Y_UP", "Y", "The file's Y becomes Blender's Z, as Blender's OBJ importer does"),
            ("Y_DOWN", "-Y", "The file's -Y becomes Blender's Z, as often fits COLMAP's models"),
        ],
    )
    flip: bpy.props.EnumProperty(
        name="Convention",
        description="Conversion for a file that does not follow its format's convention",
        items=[
            ("NONE", "As the Format Says", ""),
            *((name, name, text[0].upper() + text[1:]) for name, text in FLIPS.items()),
        ],
    )
    undistort: bpy.props.BoolProperty(
        name="Straighten Photographs",
        description="Show photographs without their lens's distortion, so that they match the mesh; computing always takes"
        " the originals",
        default=True,
    )
    set_render_size: bpy.props.BoolProperty(
        name="Set Render Size", description="Set the scene's render size to that of the first photograph", default=False
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, _context: bpy.types.Context) -> None:
        column = typed.present(self.layout).column()
        column.use_property_split, column.use_property_decorate = True, False
        for name in ("images", "scale", "up", "flip", "undistort", "set_render_size"):
            column.prop(self, name)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        global _problem
        try:
            self._import(context)
        except RelievoError as error:
            _problem = str(error)
            raise
        _problem = ""
        return {"FINISHED"}

    def _import(self, context: bpy.types.Context) -> None:
        if not self.filepath:
            raise InvalidInput("No camera file is named.", hint="Pick a file or a folder.", field="filepath")
        if context.mode != "OBJECT":
            raise InvalidInput("Cameras can only be imported in Object Mode.", hint="Leave the current mode first.")
        images = Path(bpy.path.abspath(self.images)) if self.images else None
        if images is not None and not images.is_dir():
            raise InvalidInput(
                f"There is no folder {images}.", hint="Pick the folder of the photographs.", field="images"
            )
        found = read(Path(bpy.path.abspath(self.filepath)), images)
        posed = _posed(found, "" if self.flip == "NONE" else self.flip)
        if self.undistort:
            posed = _straightened(posed, context)
        frame = cameras.Frame(up=self.up, scale=self.scale)
        if self.set_render_size:
            _set_render_size(context.scene, posed[0].camera)
        try:
            collection = cameras.make(posed, context.scene, frame)
        except RuntimeError as error:
            raise InvalidInput(
                f"A photograph cannot be opened: {error}.", hint="Copy it again.", field="images"
            ) from error
        _pick(context.scene, collection)
        self.report({"INFO"}, f"{len(posed)} cameras of {found.format} are in the collection {collection.name}")
        for warning in _warnings(found, posed, frame, context):
            self.report({"WARNING"}, warning)


def _posed(found: Cameras, flip: str) -> list[cameras.Posed]:
    """Cameras with their photographs. Raises InvalidInput where no photograph was found, or one is not its camera's."""
    if not any(found.photographs):
        raise InvalidInput(
            f"None of the {len(found.cameras)} photographs was found, such as {found.cameras[0].name}.",
            hint="Pick the folder that has them under Images.",
            field="images",
        )
    for camera, path in zip(found.cameras, found.photographs, strict=True):
        size = image_size(path) if path is not None else (camera.width, camera.height)
        if size != (camera.width, camera.height):
            raise InvalidInput(
                f"Photo {camera.name} is {size[0]} x {size[1]}, its camera has {camera.width} x {camera.height}.",
                hint="Pick the folder of the photographs that the cameras were computed from.",
                field="images",
            )
    turned = apply_flip(found.cameras, flip)
    pairs = zip(turned, found.photographs, strict=True)
    return [cameras.Posed(camera=camera, photograph=path.resolve() if path else None) for camera, path in pairs]


def _straightened(posed: Sequence[cameras.Posed], context: bpy.types.Context) -> list[cameras.Posed]:
    """The same with a backdrop for each photograph that its lens bends."""
    into, made = undistorted_backgrounds.folder(_cache(context)), []
    manager = context.window_manager
    manager.progress_begin(0, len(posed))
    try:
        for number, entry in enumerate(posed):
            manager.progress_update(number)
            if entry.photograph is not None and not entry.camera.distortion.is_none:
                entry = replace(entry, backdrop=undistorted_backgrounds.make(entry.photograph, entry.camera, into))
            made.append(entry)
    except OSError as error:
        raise StorageFull(
            f"The straightened photographs cannot be kept in {into}: {error}.",
            hint="Free some space, or import without Straighten Photographs.",
        ) from error
    finally:
        manager.progress_end()
    return made


def _cache(context: bpy.types.Context) -> Path:
    return Path(os.environ.get("RELIEVO_DATA") or options.read(context).data_dir or default_data_dir())


def _set_render_size(scene: bpy.types.Scene, camera: Camera) -> None:
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    scene.render.resolution_percentage = 100


def _pick(scene: bpy.types.Scene, collection: bpy.types.Collection) -> None:
    """The engines that take cameras take these."""
    for spec in algorithms():
        for port in spec.inputs:
            if port.kind is CAMERAS:
                picker = getattr(getattr(typed.settings(scene), spec.name), f"from_{port.name}")
                picker.source, picker.collection = "COLLECTION", collection


# What a person ought to know ----------------------------------------------------------------------------------------


def _warnings(
    found: Cameras, posed: Sequence[cameras.Posed], frame: cameras.Frame, context: bpy.types.Context
) -> list[str]:
    warnings = []
    if found.missing:
        named = ", ".join(found.missing[:3]) + (f" and {len(found.missing) - 3} more" if len(found.missing) > 3 else "")
        warnings.append(f"{len(found.missing)} photographs were not found: {named}. Their cameras cannot be used.")
    uneven = [entry.camera for entry in posed if abs(entry.camera.fy / entry.camera.fx - 1.0) > 1e-3]
    if uneven:
        warnings.append(
            f"The pixels of {uneven[0].name} are not square ({uneven[0].fy / uneven[0].fx:.4f}). Computing takes that into "
            "account; a render does with the same Aspect in the scene's output settings."
        )
    if any(not entry.camera.distortion.is_none and entry.backdrop is None for entry in posed if entry.photograph):
        warnings.append("The photographs are shown with their lens distortion: they match the mesh only in the middle.")
    centers = np.array([entry.camera.center for entry in posed]) * frame.scale
    spread = float(np.linalg.norm(np.ptp(centers, axis=0))) or 1.0
    if np.abs(centers).max() * 2.0**-23 > FAR * spread:
        warnings.append(
            f"The cameras stand {np.abs(centers).max():.3g} units from the world's origin, which Blender's 32 bits hold "
            "coarsely. Shift the reconstruction near its origin before you export it."
        )
    if flip := _fitting_flip(posed, frame, context):
        warnings.append(f"The cameras do not see the mesh as it stands; with the convention {flip} they would.")
    return warnings


def _fitting_flip(posed: Sequence[cameras.Posed], frame: cameras.Frame, context: bpy.types.Context) -> str:
    """What would put the selected mesh into the frames, "" where it is there already or none is selected."""
    mesh = context.active_object
    if frame.up != "FILE" or mesh is None:
        return ""
    if not isinstance(mesh.data, bpy.types.Mesh) or not len(mesh.data.polygons):
        return ""
    points = scans.surface(mesh, context.evaluated_depsgraph_get()).points
    points = points[:: len(points) // POINTS + 1] / frame.scale
    return fitting_flip([entry.camera for entry in posed], points)


def _draw_import_menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    typed.present(self.layout).operator(
        "relievo.import_cameras", text="Relievo Cameras (COLMAP, Bundler, Meshroom, NeRF, OpenMVS)"
    )


def register() -> None:
    bpy.utils.register_class(RELIEVO_OT_import_cameras)
    bpy.types.TOPBAR_MT_file_import.append(_draw_import_menu)  # pyright: ignore[reportArgumentType]  # Blender passes the menu as well


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_draw_import_menu)  # pyright: ignore[reportArgumentType]  # Blender passes the menu as well
    bpy.utils.unregister_class(RELIEVO_OT_import_cameras)
