"""Blender's part of make.py, which starts it in Blender 4.2: results and settings, made with the add-on of a checkout.

CHECKOUT/.venv-blender-4.2/bin/python make_blends.py CHECKOUT FOLDER
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from make import add_to_json, sha256, write_json

SETTINGS_SCENES = 5  # so that every value of every enumeration is in the file at least once


def make_blends(checkout: Path, stage: Path) -> None:
    sys.path.insert(0, str(checkout))
    from tests.blender import live_addon

    with tempfile.TemporaryDirectory() as data, live_addon.registered(Path(data), threads=2):
        for make in (make_settings, make_noise, make_morphology, make_hydrology, make_scan_blend):
            bpy.ops.wm.read_factory_settings(use_empty=True)
            live_addon.discard_jobs()
            name, told = make(stage)
            told["scenes"] = {scene.name: {"relievo": settings(scene.relievo)} for scene in bpy.data.scenes}
            write_json(stage / f"{name}.json", told)
            bpy.ops.wm.save_as_mainfile(filepath=str(stage / f"{name}.blend"), compress=True, relative_remap=False)
            (stage / f"{name}.blend1").unlink(missing_ok=True)  # the scan's, saved twice
    add_to_json(stage / "made.json", blender=bpy.app.version_string)


def settings(group: Any) -> dict[str, Any]:
    """Every setting of a group as Python reads it; of an enumeration also the number that the file holds."""
    told: dict[str, Any] = {}
    for prop in group.bl_rna.properties:
        name = prop.identifier
        if name in ("rna_type", "name"):
            continue
        value = getattr(group, name)
        if isinstance(value, bpy.types.PropertyGroup):
            told[name] = {"group": settings(value)}
        elif prop.type == "COLLECTION":
            told[name] = {"items": [settings(item) for item in value]}
        elif prop.type == "POINTER":
            told[name] = {"datablock": value and value.name}
        elif prop.type == "ENUM":
            told[name] = {"value": value, "raw": group.get(name)}
        else:
            told[name] = {"value": value}
    return told


def make_settings(_stage: Path) -> tuple[str, dict[str, Any]]:
    """Scenes whose every setting is another than the default, and in each scene another."""
    bpy.ops.mesh.primitive_plane_add()
    bpy.context.active_object.name = "Picked mesh"
    bpy.data.images.new("Picked image", 4, 4).use_fake_user = True
    collection = bpy.data.collections.new("Picked collection")
    bpy.context.scene.collection.children.link(collection)
    bpy.context.scene.name = "Settings 0"
    for number in range(SETTINGS_SCENES):
        name = f"Settings {number}"
        scene = bpy.data.scenes.get(name) or bpy.data.scenes.new(name)
        if number == 1:
            scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
        change(scene.relievo, number)
    check_that_all_are_there([scene.relievo for scene in bpy.data.scenes])
    return "settings", {}


def check_that_all_are_there(groups: list[Any]) -> None:
    """Every value but the default of every enumeration is in some scene."""
    for prop in groups[0].bl_rna.properties:
        if prop.identifier in ("rna_type", "name"):
            continue
        values = [getattr(group, prop.identifier) for group in groups]
        if isinstance(values[0], bpy.types.PropertyGroup):
            check_that_all_are_there(values)
        elif prop.type == "ENUM":
            assert {item.identifier for item in prop.enum_items} - {prop.default} <= set(values), prop.identifier


def change(group: Any, number: int) -> None:
    """Give every setting of a group a value that is not its default, other ones for other numbers."""
    for prop in group.bl_rna.properties:
        name = prop.identifier
        if name in ("rna_type", "name"):
            continue
        value = getattr(group, name)
        if isinstance(value, bpy.types.PropertyGroup):
            change(value, number)
        elif prop.type == "COLLECTION":
            for item in range(1 + number % 2):
                change(value.add(), number + item)
        elif prop.type == "POINTER":
            setattr(group, name, {"Image": bpy.data.images["Picked image"], "Object": bpy.data.objects["Picked mesh"],
                                  "Collection": bpy.data.collections["Picked collection"]}[prop.fixed_type.identifier])  # fmt: skip
        else:
            setattr(group, name, other_value(prop, number))
            assert (prop.type == "ENUM" and len(prop.enum_items) == 1) or getattr(group, name) != prop.default, name


def other_value(prop: Any, number: int) -> Any:
    if prop.type == "BOOLEAN":
        return not prop.default
    if prop.type == "ENUM":
        items = [item.identifier for item in prop.enum_items if item.identifier != prop.default] or [prop.default]
        return items[number % len(items)]
    if prop.type == "INT":
        room = prop.hard_max - prop.default > SETTINGS_SCENES
        return prop.default + (1 + number if room else -1 - number)
    low, high = prop.soft_min, prop.soft_max
    value = low + (high - low) * (0.13 + 0.11 * number) if high - low < 1e6 else prop.default * 1.25 + 1.0 + number
    return value if abs(value - prop.default) > 1e-6 else value * 1.01


def set_values(group: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(group, name, value)


def generate(algorithm: str, **output: Any) -> Any:
    """As the button does it, with the scene's settings; what became of it."""
    scene = bpy.context.scene
    before = {*bpy.data.objects, *bpy.data.images}
    scene.relievo.algorithm = algorithm
    set_values(scene.relievo.output, **output)
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    carriers = (item for item in (*bpy.data.objects, *bpy.data.images) if item not in before)
    return next((item for item in carriers if item.get("relievo_recipe")), None)


def result(carrier: Any, *, image: str = "", **more: Any) -> dict[str, Any]:
    """What has to be read of a terrain. image: where its heights are, "" for the mesh itself."""
    heights = pixels(bpy.data.images[image])[..., 0] if image else positions(carrier)[:, 2]
    told = {
        "datablock": carrier.name,
        "is_image": isinstance(carrier, bpy.types.Image),
        "image": image,
        "recipe": json.loads(carrier["relievo_recipe"]),
        "properties": properties(carrier),
        "heights": {"sha256": sha256(heights), "low": float(heights.min()), "high": float(heights.max())},
    }
    if not told["is_image"]:
        told["properties of the mesh"] = properties(carrier.data)
        told["dimensions"], told["location"] = list(carrier.dimensions), list(carrier.location)
        told["vertices"] = len(carrier.data.vertices)
        told["modifiers"] = [[modifier.name, modifier.type] for modifier in carrier.modifiers]
        told["materials"] = [slot.material.name for slot in carrier.material_slots]
    return told | more


def properties(item: Any) -> dict[str, Any]:
    """The custom properties of a datablock but for its recipe."""
    found = {key: item[key] for key in item.keys() if key.startswith("relievo") and key != "relievo_recipe"}  # noqa: SIM118
    return {key: value.to_list() if hasattr(value, "to_list") else value for key, value in sorted(found.items())}


def positions(item: Any) -> np.ndarray:
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)


def pixels(image: Any) -> np.ndarray:
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)


def make_noise(_stage: Path) -> tuple[str, dict[str, Any]]:
    """One noise in every form that a terrain has; as images it lies in no scene."""
    bpy.ops.relievo.apply_preset(algorithm="noise", preset="mesas")
    noise = bpy.context.scene.relievo.noise
    set_values(noise, width_px=32, height_px=22, pixel_size_m=20.0, octaves=4, gain=0.35, stretch=1.5)
    made = {}
    for number, kind in enumerate(("MESH", "GEOMETRY_NODES", "DISPLACE", "IMAGES")):
        noise.seed = 41 + number
        made[kind] = generate("noise", kind=kind, preview=False, frame=False)
    made["GEOMETRY_NODES"].name = "Renamed"  # by its user; its image keeps its own name
    made["IMAGES"].use_fake_user = True  # by its user: Blender saves no image that nothing uses
    told = [
        result(made["MESH"]),
        result(made["GEOMETRY_NODES"], image=made["GEOMETRY_NODES"].modifiers[0]["Socket_2"].name),
        result(made["DISPLACE"], image=made["DISPLACE"].modifiers[0].texture.image.name),
        result(made["IMAGES"], image=made["IMAGES"].name),
    ]
    return "noise", {"results": told}


def make_morphology(_stage: Path) -> tuple[str, dict[str, Any]]:
    """Relief transfer of two landscapes onto a noise that stands in the scene, for Cycles to displace."""
    scene = bpy.context.scene.relievo
    set_values(scene.noise, width_px=32, height_px=12, pixel_size_m=90.0, octaves=3, seed=51)
    layout = generate("noise", kind="MESH", preview=False, frame=False)
    layout.name = "Layout"
    set_values(
        scene.morphology, seed=13, landform="volcanic", layout_value=0.35, landform_px=18.0, relief=650.0, steps=5
    )
    set_values(scene.morphology, drainage=False, filters=10)
    set_values(scene.morphology.from_height, source="OBJECT", object=layout, resolution=96, fill_gaps=False)
    set_values(scene.morphology.from_exemplar, source="EXEMPLAR", exemplar="canyon")
    set_values(scene.morphology.more_exemplar.add(), source="EXEMPLAR", exemplar="glacial")
    made = generate("morphology", kind="ADAPTIVE", preview=False)
    told = [result(layout), result(made, image=f"{made.name} height")]
    return "morphology", {"results": told, "saved settings make": made.name}


def make_hydrology(_stage: Path) -> tuple[str, dict[str, Any]]:
    """Water on a new noise, held off by a painted mask; flow, sediment and wear lie on the mesh as attributes."""
    scene = bpy.context.scene.relievo
    mask = bpy.data.images.new("Painted mask", 32, 24, float_buffer=True, is_data=True)
    mask.pixels.foreach_set(np.repeat(np.linspace(0, 1, 32, dtype=np.float32)[None].repeat(24, 0).ravel(), 4))
    mask.pack()
    bpy.ops.relievo.apply_preset(algorithm="noise", preset="ridges")
    set_values(scene.noise, width_px=32, height_px=24, seed=61, octaves=4)
    bpy.ops.relievo.apply_preset(algorithm="hydrology", preset="badlands")
    set_values(scene.hydrology, steps=9, seed=7, flow_model="single", depressions="fill", talus_angle=42.0)
    set_values(scene.hydrology.from_height, source="NOISE")
    set_values(scene.hydrology.from_mask, source="IMAGE", image=mask)
    made = generate("hydrology", kind="MESH", preview=False)
    maps = {name: sha256(attribute(made, name)) for name in ("flow", "sediment", "wear")}
    return "hydrology", {"results": [result(made, maps=maps)], "saved settings make": made.name}


def attribute(item: Any, name: str) -> np.ndarray:
    values = np.empty(len(item.data.vertices), np.float32)
    item.data.attributes[name].data.foreach_get("value", values)
    return values


def make_scan_blend(stage: Path) -> tuple[str, dict[str, Any]]:
    """A texture on a small mesh, of the photographs of runs/scan_texture, with something in the way."""
    photographs = stage / "runs/scan_texture"
    bpy.ops.wm.obj_import(filepath=str(photographs / "mesh.obj"), forward_axis="Y", up_axis="Z")
    item = bpy.context.selected_objects[0]
    item.name = "Ground"
    bpy.ops.relievo.import_cameras(filepath=str(photographs / "cameras.json"), undistort=False)
    cameras = bpy.data.collections["Cameras"]
    for image in bpy.data.images:
        image.filepath = f"//runs/scan_texture/{Path(image.filepath).name}"
    first = cameras.objects[0].data
    first["relievo_photograph"] = "//runs/scan_texture/00.png"  # as it is kept where a straightened one is shown
    things = bpy.data.collections.new("In the way")
    bpy.context.scene.collection.children.link(things)
    bpy.ops.mesh.primitive_cube_add(size=0.1, location=(0.3, 0.3, 0.4))
    post = bpy.context.active_object
    post.name = "Post"
    things.objects.link(post)
    bpy.context.scene.collection.objects.unlink(post)
    bpy.context.view_layer.objects.active = item
    bpy.ops.wm.save_as_mainfile(
        filepath=str(stage / "scan.blend"), compress=True
    )  # "//" means this folder from here on
    bpy.ops.relievo.apply_preset(algorithm="scan_texture", preset="draft")
    scan = bpy.context.scene.relievo.scan_texture
    set_values(scan, size=48, robustness="huber", color_correction="exposure", smoothness=0.02, mips=False)
    set_values(scan.from_mesh, object=item)
    set_values(scan.from_occluders, source="COLLECTION", collection=things)
    generate("scan_texture", depth="SHORT", preview=False)
    (material,) = item.data.materials
    images = {
        port: {"datablock": f"Ground {port}", "sha256": sha256(pixels(bpy.data.images[f"Ground {port}"])),
               "size": list(bpy.data.images[f"Ground {port}"].size),
               "properties": properties(bpy.data.images[f"Ground {port}"])}
        for port in ("texture", "coverage", "confidence")
    }  # fmt: skip
    texture = {
        "object": item.name,
        "material": material.name,
        "recipe": json.loads(material["relievo_recipe"]),
        "properties": properties(material),
        "report": bpy.data.texts[material["relievo_report_text"]].as_string(),
        "images": images,
        "cameras": {camera.name: properties(camera.data) for camera in cameras.objects},
    }
    return "scan", {"texture": texture}


if __name__ == "__main__":
    make_blends(*(Path(word).resolve() for word in sys.argv[1:3]))
