r"""The Image Editor in a real window: a region dragged over a photograph, a texture of it, shown in its place and repeated; a
texture without a mesh, which forms on a plane; an asset. Takes pictures to look at; not a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_image_editor.py -- ADDON_PARENT ENDPOINT PICTURES PHOTOGRAPH

The arguments are those of drive_texture.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, settled, shot, tab_in_an_empty_scene

opening.use_checkout(Path(opening.ARGUMENTS[2]) / "data")
from blender_addon.datablocks import region  # noqa: E402
from blender_addon.writers import textures  # noqa: E402


def part(area: bpy.types.Area, kind: str) -> bpy.types.Region:
    return next(part for part in area.regions if part.type == kind)


def on_screen(area: bpy.types.Area, u: float, v: float) -> tuple[int, int]:
    """Where a point of the image is, in pixels from the upper left corner of the window."""
    canvas = part(area, "WINDOW")
    x, y = canvas.view2d.view_to_region(u, v, clip=False)
    return canvas.x + x, drive.window().height - (canvas.y + y)


def image_editor(image: bpy.types.Image):
    """The 3D view's area as an Image Editor with its tab open."""
    area = drive.view3d()
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.image, space.show_region_ui = image, True
    yield 1.0
    sidebar = part(area, "UI")
    x, top = sidebar.x + sidebar.width - 8, drive.window().height - (sidebar.y + sidebar.height)
    for y in range(top + 10, top + sidebar.height, 20):
        if sidebar.active_panel_category == "Relievo":
            break
        drive.click(x, y)
        yield 0.1
    with bpy.context.temp_override(window=drive.window(), area=area, region=part(area, "WINDOW")):
        bpy.ops.image.view_all(fit_view=True)
    yield 1.0


def session():
    yield from tab_in_an_empty_scene()
    drive.shade("MATERIAL")
    settings = bpy.context.scene.relievo
    photograph = bpy.data.images.load(opening.ARGUMENTS[3])
    settings.texture.width = settings.texture.height = 256
    settings.texture.scale, settings.texture.steps = 0.5, 20

    # a texture without a mesh forms on a plane
    yield from choose(settings, "texture")
    settings.texture.from_exemplar.image = photograph
    yield 0.5
    shot("1-alone-ready")
    bpy.ops.relievo.generate()
    yield lambda: any("relievo_preview" in item for item in bpy.data.objects) or settled()
    yield 2.0
    shot("2-alone-forming")
    yield settled
    assert newest_job().error is None, newest_job().sentence

    # a region of the photograph, dragged, and a texture of it
    settings.algorithm = "noise"
    yield from image_editor(photograph)
    area = next(area for area in drive.window().screen.areas if area.type == "IMAGE_EDITOR")
    space = area.spaces.active
    shot("3-editor")
    with bpy.context.temp_override(window=drive.window(), area=area, region=part(area, "UI")):
        bpy.ops.relievo.draw_region("INVOKE_DEFAULT")
    yield 0.3
    (x, y), (right, bottom) = on_screen(area, 0.1, 0.9), on_screen(area, 0.6, 0.4)
    drive._event("MOUSEMOVE", "NOTHING", x, y)
    drive._event("LEFTMOUSE", "PRESS", x, y)
    yield 0.2
    drive._event("MOUSEMOVE", "NOTHING", right, bottom)
    yield 0.5
    shot("4-dragging")
    drive._event("LEFTMOUSE", "RELEASE", right, bottom)
    yield 0.5
    found = region.of(photograph)
    wanted = [round(share * side) for share, side in zip((0.1, 0.4, 0.5, 0.5), 2 * list(photograph.size), strict=True)]
    assert found is not None, "the region was drawn"
    assert all(abs(one - other) < 6 for one, other in zip(found, wanted, strict=True)), (found, wanted)
    shot("5-region")
    with bpy.context.temp_override(window=drive.window(), area=area, region=part(area, "UI")):
        bpy.ops.relievo.texture_from_image()
    yield lambda: space.image != photograph or settled()
    yield 0.5
    shot("6-editor-forming")
    yield settled
    assert newest_job().error is None, newest_job().sentence
    yield 1.0
    material = bpy.data.materials[newest_job().purpose["shown"]]
    assert space.image == textures.image_of(material)
    space.show_repeat = True
    with bpy.context.temp_override(window=drive.window(), area=area, region=part(area, "WINDOW")):
        bpy.ops.image.view_zoom_ratio(ratio=0.8)
    yield 1.0
    shot("7-editor-result")

    # a mesh wears it, and it becomes an asset
    bpy.ops.mesh.primitive_plane_add(size=2.0)
    area.type = "VIEW_3D"
    yield 1.0
    settings.algorithm = "texture"
    settings.texture.from_exemplar.image = photograph
    yield 0.5
    bpy.ops.relievo.generate()
    yield settled
    yield 3.0
    bpy.ops.relievo.mark_asset()
    yield 1.0
    shot("8-asset-button")
    area.ui_type = "ASSETS"
    yield 3.0
    shot("9-asset-browser")
    assert textures.worn_by(bpy.context.active_object).asset_data is not None


drive.run(session(), timeout=240.0)
