r"""A picture for the guide: a photograph, and beside it what the mesh renders as with a texture made from all the others.

    .venv-blender-5.0/bin/python tests/blender/guide_pictures/render_scan.py FOLDER CAMERA PICTURE.jpg

FOLDER is what photograph_scan.py has left, CAMERA the photograph that is held out. The mesh is textured by the add-on and goes back
into its studio; light and shade are in its texture, so it gets no more of them. Not a pytest file.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from blender_addon.writers import report, textures  # noqa: E402
from tests.blender.support import live_addon, photography  # noqa: E402

SIZE, SAMPLES, GAP_PX, QUALITY = 1024, 64, 8, 88


def glow(material: bpy.types.Material) -> None:
    """The texture as it is, without light and shade."""
    tree = material.node_tree
    shader = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(textures.texture_node(material).outputs["Color"], shader.inputs["Color"])
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(shader.outputs[0], output.inputs["Surface"])


def beside(left: np.ndarray, right: np.ndarray, path: Path) -> None:
    """Two pictures [H, W, 3] of sRGB values 0..1 with a white gap between them, as a JPEG."""
    rows, columns = left.shape[:2]
    whole = np.ones((rows, 2 * columns + GAP_PX, 4), np.float32)
    whole[:, :columns, :3], whole[:, columns + GAP_PX :, :3] = left, right
    image = bpy.data.images.new("beside", whole.shape[1], rows, alpha=False)
    image.pixels.foreach_set(whole[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "JPEG"
    image.save(quality=QUALITY)


def main(folder: Path, camera: str, picture: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(folder / "studio.blend"))
    held_out, cameras = bpy.data.objects[camera], bpy.data.collections["Cameras"]
    cameras.objects.unlink(held_out)
    bpy.context.scene.collection.objects.link(held_out)
    item = next(
        item for item in bpy.data.objects if item.type == "MESH" and item.data.uv_layers and item.name != "Plane"
    )
    item.data.materials.clear()
    bpy.ops.relievo.scan_texture(mesh=item.name, cameras=cameras.name, size=SIZE)
    (material,) = item.data.materials
    shown = report.read(material)
    print(*shown.summary, sep="\n")
    assert len(shown.photographs) == len(cameras.objects), "the photograph that is held out was not looked at"
    glow(material)
    scene = bpy.context.scene
    scene.camera, scene.cycles.samples = held_out, SAMPLES
    scene.render.filepath = str(picture.with_suffix(".png"))
    bpy.ops.render.render(write_still=True)
    rendered = photography.pixels(bpy.data.images.load(scene.render.filepath))
    taken = photography.pixels(bpy.data.images.load(str(folder / "images" / f"{camera}.png")))
    print(f"PSNR of the whole frame {-10 * math.log10(float(np.mean((rendered - taken) ** 2))):.2f} dB")
    beside(taken, rendered, picture)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data, live_addon.registered(Path(data)):
        main(Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3]).resolve())
