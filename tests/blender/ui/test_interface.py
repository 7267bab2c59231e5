"""Registration and what the sidebar is made of:
each declared parameter has its property, each port its picker, each panel draws.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon import operators, pump
from blender_addon.inputs import sources
from blender_addon.install.installation import Installer, InstallProgress
from blender_addon.link.connection import Connection, Place
from blender_addon.settings import properties, property_table
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import HEIGHT_MAP, MESH
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.ui import connection_panel, panels
from tests.blender.support import live_addon, paper
from tests.blender.support.backend_with_card import CARD, CPU, BackendWithCard

ROOT = Path(__file__).resolve().parents[3]
SPECS = [pytest.param(spec, id=spec.name) for spec in ALGORITHMS]


pytestmark = pytest.mark.usefixtures("addon_alone")


@pytest.mark.parametrize("spec", SPECS)
def test_every_parameter_has_its_property_with_its_default_and_bounds(spec):
    group = getattr(bpy.context.scene.relievo, spec.name)
    for parameter in spec.parameters:
        name = property_table.property_name(parameter)
        shown = group.bl_rna.properties[name]
        if parameter.type in ("int", "float"):
            number = np.float32 if parameter.type == "float" else int
            for bound, held in (("min", shown.hard_min), ("max", shown.hard_max)):
                declared = getattr(parameter, bound)
                if declared is not None and abs(declared) < 2**31:
                    assert number(held) == number(declared), (name, bound)
            assert shown.soft_min >= shown.hard_min
            assert shown.soft_max <= shown.hard_max
        if parameter.type == "choice":
            assert [item.identifier for item in shown.enum_items] == [value for value, _ in parameter.choices]
        assert shown.description
    assert properties.read(bpy.context.scene, spec) == {
        parameter.name: parameter.default for parameter in spec.parameters
    }


@pytest.mark.parametrize("spec", SPECS)
def test_settings_read_back_what_was_written(spec):
    for preset in spec.presets:
        properties.apply_preset(bpy.context.scene, spec, preset)
        read = properties.read(bpy.context.scene, spec)
        assert {name: read[name] for name in preset.values} == dict(preset.values)


@pytest.mark.parametrize("spec", SPECS)
def test_a_preset_keeps_the_seed(spec):
    if not spec.presets or not any(parameter.name == "seed" for parameter in spec.parameters):
        pytest.skip("no presets or no seed")
    group = getattr(bpy.context.scene.relievo, spec.name)
    group.seed = 77
    bpy.ops.relievo.apply_preset(algorithm=spec.name, preset=spec.presets[0].name)
    assert group.seed == spec.presets[0].values.get("seed", 77)


@pytest.mark.parametrize("spec", SPECS)
def test_every_port_has_a_picker_that_works_at_once(spec):
    group = getattr(bpy.context.scene.relievo, spec.name)
    for port in spec.inputs:
        assert hasattr(group, f"from_{port.name}")
        assert hasattr(group, f"more_{port.name}") == port.many
    missing = sources.what_is_missing(bpy.context.scene, spec, None)
    needed = [port for port in spec.inputs if not port.optional]
    if any(port.kind is MESH for port in needed):
        assert "Select a mesh" in missing, "an empty file has none, and the panel says so"
    elif all(port.kind is HEIGHT_MAP for port in needed):
        assert missing == "", "heights are made or shipped: the default settings make a terrain at once"
    else:
        assert missing, "an empty file has no image to pick, and the panel says so"


@pytest.mark.parametrize("spec", SPECS)
def test_the_operator_has_the_same_parameters(spec):
    operator = getattr(bpy.ops.relievo, spec.name).get_rna_type()
    for parameter in spec.parameters:
        assert property_table.property_name(parameter) in operator.properties
    assert operator.description == spec.summary.rstrip(".")


def test_lengths_follow_the_scenes_units():
    scene, noise = bpy.context.scene, find(ALGORITHMS, "noise")
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 1000.0
    scene.relievo.noise.relief_m = 2.5
    assert properties.read(scene, noise)["relief_m"] == 2500.0


def test_a_missing_input_is_said_with_what_to_do():
    scene, spec = bpy.context.scene, find(ALGORITHMS, "hydrology")
    picker = scene.relievo.hydrology.from_height
    picker.source = "OBJECT"
    assert "Select a mesh" in sources.what_is_missing(scene, spec, None)
    picker.source = "IMAGE"
    assert "no image" in sources.what_is_missing(scene, spec, None)
    scene.relievo.algorithm = "hydrology"
    assert not bpy.ops.relievo.generate.poll()


def test_register_and_unregister_leave_nothing_behind(addon_alone):
    def seen() -> set[str]:
        ours = {name for name in dir(bpy.types) if name.startswith("RELIEVO")}
        handlers = {
            f"{kind}:{len(getattr(bpy.app.handlers, kind))}"
            for kind in ("load_pre", "load_post", "save_pre", "undo_post")
        }
        return ours | handlers | set(dir(bpy.ops.relievo)) | {str(hasattr(bpy.types.Scene, "relievo"))}

    registered = seen()
    addon_alone.unregister()
    bare = seen()
    assert not {name for name in bare if name.startswith("RELIEVO")}
    assert "False" in bare
    addon_alone.register()
    assert seen() == registered


def test_without_a_backend_generate_says_what_to_do():
    with pytest.raises(RuntimeError, match="Install Backend"):
        bpy.ops.relievo.noise()
    assert pump.session().standing.action == "install"


def test_every_icon_is_one_of_blenders():
    icons = {item.identifier for item in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items}
    for spec in ALGORITHMS:
        assert spec.icon in icons
    assert {icon for _, _, icon in connection_panel._MENDING.values()} | set(
        connection_panel._STATE_ICONS.values()
    ) <= icons


def test_every_operator_says_what_it_does():
    for module in operators.MODULES:
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, bpy.types.Operator)
                and value.__name__.startswith("RELIEVO")
            ):
                text = getattr(bpy.ops.relievo, value.bl_idname.removeprefix("relievo.")).get_rna_type().description
                assert text, value.__name__
                assert not text.endswith("."), f"{value.__name__}: Blender adds the full stop"
                small = {"a", "from", "as", "in", "to"}
                words = [word for word in value.bl_label.rstrip(".").split() if word not in small]
                assert all(word[0].isupper() for word in words), value.bl_label


@pytest.mark.any_version
def test_no_module_imports_torch_or_the_backend():
    code = (
        "import sys, pkgutil, importlib, blender_addon\n"
        "blender_addon.register()\n"
        "bad = [name for name in sys.modules if name.partition('.')[0] in ('torch', 'backend', 'scipy', 'numba')]\n"
        "blender_addon.unregister()\n"
        "sys.exit(', '.join(bad) or 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", f"import bpy\n{code}"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "name",
    [
        module.name
        for module in pkgutil.walk_packages(blender_addon.__path__, "blender_addon.")
        if not module.name.startswith(("blender_addon.demo", "blender_addon.shared"))
    ],
)
def test_every_module_says_what_it_is_for(name):
    assert importlib.import_module(name).__doc__


# Inputs and views that need no backend ------------------------------------------------------------------------


def port_of(spec, name: str):
    return next(port for port in spec.inputs if port.name == name)


def ground_of_two_materials(name: str) -> bpy.types.Object:
    """A flat grid 8 m wide, its left half of the first material, its right half of the second."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=8, y_subdivisions=4, size=8.0)
    item = bpy.context.active_object
    item.name = name
    for number in (0, 3):
        material = bpy.data.materials.new(f"Class {number}")
        material.pass_index = number
        item.data.materials.append(material)
    for polygon in item.data.polygons:
        polygon.material_index = int(polygon.center.x > 0)
    return item


def test_classes_come_from_the_materials_of_the_mesh_of_the_heights():
    scene, spec = bpy.context.scene, find(ALGORITHMS, "morphology")
    settings, port = scene.relievo.morphology, port_of(spec, "classes")
    settings.from_classes.source = "MATERIALS"
    settings.from_height.source = "NOISE"
    assert "Set Height" in sources.what_is_missing(scene, spec, None)
    settings.from_height.source = "OBJECT"
    ground = settings.from_height.object = ground_of_two_materials("Ground")
    settings.from_height.resolution = 65
    (height,), (picked,) = (sources.chosen(scene, spec, port_of(spec, name), None) for name in ("height", "classes"))
    drawn = sources.read(picked, port, bpy.context).values
    assert drawn.shape == sources.read(height, port_of(spec, "height"), bpy.context).values.shape
    assert (drawn[:, :30] == 0).all()
    assert (drawn[:, 35:] == 3).all()
    again = sources.from_json(picked.to_json())
    assert np.array_equal(sources.read(again, port, bpy.context).values, drawn)
    assert sources.from_text(f"materials:{ground.name}").kind == "materials"


def test_classes_come_from_objects_laid_on_the_mesh_of_the_heights():
    scene, spec = bpy.context.scene, find(ALGORITHMS, "morphology")
    settings, port = scene.relievo.morphology, port_of(spec, "classes")
    ground = ground_of_two_materials("Ground")
    settings.from_height.source, settings.from_height.object, settings.from_height.resolution = "OBJECT", ground, 65
    settings.from_classes.source = "OBJECTS"
    assert "no collection" in sources.what_is_missing(scene, spec, None)
    collection = settings.from_classes.collection = bpy.data.collections.new("Regions")
    scene.collection.children.link(collection)
    (picked,) = sources.chosen(scene, spec, port, None)
    with pytest.raises(sources.InvalidInput, match="no mesh in the collection"):
        sources.read(picked, port, bpy.context)
    bpy.ops.mesh.primitive_cube_add(size=2.0, location=(-3.0, 3.0, 1.0))  # over the top left corner
    cube = bpy.context.active_object
    cube.pass_index = 2
    collection.objects.link(cube)
    drawn = sources.read(picked, port, bpy.context).values
    assert drawn.shape == (65, 65)
    assert (drawn[:16, :16] == 2).all()
    assert (drawn[18:] == 0).all()
    assert (drawn[:, 18:] == 0).all()


def test_set_up_view_adds_sun_sky_and_camera_and_nothing_twice():
    scene = bpy.context.scene
    ground_of_two_materials("Ground")
    for _ in range(2):
        assert bpy.ops.relievo.set_up_view(sun_elevation=30.0) == {"FINISHED"}
    kinds = [item.type for item in bpy.data.objects]
    assert (kinds.count("LIGHT"), kinds.count("CAMERA")) == (1, 1)
    assert scene.camera.type == "CAMERA"
    assert scene.world is not None
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.view_layer.objects.active = None
    assert not bpy.ops.relievo.set_up_view.poll()


def test_a_terrain_of_an_images_heights():
    image = bpy.data.images.new("bumps", 24, 16, float_buffer=True, is_data=True)
    pixels = np.random.default_rng(0).random((16, 24, 4)).astype(np.float32)
    image.pixels.foreach_set(pixels.ravel())
    assert bpy.ops.relievo.terrain_from_image(image="bumps", width_m=240.0, meaning="RANGE", low_m=5.0, high_m=25.0)
    made = bpy.context.active_object
    positions = np.array([vertex.co for vertex in made.data.vertices])
    assert np.ptp(positions[:, 0]) == pytest.approx(230.0), "24 samples at 10 m"
    top_first = pixels[::-1, :, 0].ravel() * 20.0 + 5.0
    np.testing.assert_allclose(positions[:, 2], top_first, atol=1e-4)
    with pytest.raises(RuntimeError, match="no image 'nothing'"):
        bpy.ops.relievo.terrain_from_image(image="nothing")


# Installing -----------------------------------------------------------------------------------------------------------


def drawn_while_installing(connection: Connection, stage: str, line: str) -> list[str]:
    connection.installer = Installer(connection.data_dir)
    connection.progress = InstallProgress(stage, 0.4, line)
    try:
        return paper.draw(panels.RELIEVO_PT_main)[:5]
    finally:
        connection.installer = connection.progress = None


def test_installing_takes_the_same_rows_whatever_it_says() -> None:
    """Cancel is the first of them, where Install was, and the installer's words fill one line."""
    connection = pump.session().connection
    brief = drawn_while_installing(connection, "Starting", "")
    long = drawn_while_installing(connection, "Installing PyTorch", "Downloading " + "torch-2.9.0-cp311 " * 12)
    assert brief[0] == long[0] == "Cancel"
    assert brief[4] == long[4], "what comes below stays where it is"
    assert long[2] == "Installing PyTorch"
    assert long[3].startswith("Downloading torch")
    assert long[3].endswith("…")


def test_the_self_test_is_that_of_the_backend_in_use(monkeypatch, tmp_path) -> None:
    selftest = {"device": "cpu", "memory_bytes": 0, "torch": "2.9.0", "seconds": 0.5}

    def sentence(place: Place) -> str:
        connection = Connection(tmp_path, "owner", "test", place)
        connection.selftest = selftest
        return connection_panel.selftest_of(connection)

    assert sentence(Place()) == "", "the environment that RELIEVO_PYTHON names was not made here"
    monkeypatch.delenv("RELIEVO_PYTHON")
    assert "PyTorch 2.9.0" in sentence(Place())
    assert sentence(Place(endpoint_path=str(tmp_path / "endpoint.json"))) == ""
    assert sentence(Place(address="192.168.1.20:5555")) == ""


# Devices --------------------------------------------------------------------------------------------------------------

NOTE = "cuda:0 has too little free memory; Noise runs on the CPU."


@pytest.fixture
def with_devices(tmp_path):
    """Connects to a backend that says it has these devices; its jobs run on the CPU, with a note."""
    started = []

    def connect(devices, note: str = "") -> None:
        backend = BackendWithCard(tmp_path, devices, note=note).__enter__()
        started.append(backend)
        connection = pump.session().connection
        connection.use(backend.place)
        connection.start()
        live_addon.step_until(lambda: connection.devices, "the devices")

    yield connect
    for backend in started:
        backend.__exit__(None, None, None)


def joined(panel) -> str:
    """All that a panel says; sentences are broken into lines by its width."""
    return " ".join(paper.draw(panel))


def drawn_in_preferences() -> str:
    layout = paper.Layout()
    connection_panel.draw_connection(layout, pump.current(), in_preferences=True)
    return " ".join(layout.lines)


def test_the_devices_of_the_engines_are_shown_where_there_is_a_choice(with_devices) -> None:
    with_devices([CARD, CPU])
    assert "Ready: NVIDIA RTX 4070, 12 GB" in joined(panels.RELIEVO_PT_main)
    for shown in (joined(panels.RELIEVO_PT_main), drawn_in_preferences()):
        assert "NVIDIA RTX 4070: Terrain from a Sketch CPU: " in shown
        line = shown[shown.index("CPU: ") :]
        assert all(spec.label in line for spec in ALGORITHMS if spec.name != "terrain")
    assert "Device by Engine" in joined(panels.RELIEVO_PT_main)


def test_a_backend_with_one_device_shows_nothing_more(with_devices) -> None:
    with_devices([CPU])
    bpy.ops.relievo.noise(width_px=48, height_px=32)
    assert drawn_in_preferences() == "Ready: CPU, 8 cores"
    assert "Device by Engine" not in joined(panels.RELIEVO_PT_main)
    assert joined(panels.RELIEVO_PT_jobs).startswith("Noise 1, 3 s")
    assert "Computed on" not in joined(panels.RELIEVO_PT_jobs)


def test_where_a_job_ran_is_below_its_line(with_devices) -> None:
    with_devices([CARD, CPU])
    bpy.ops.relievo.noise(width_px=48, height_px=32)
    assert joined(panels.RELIEVO_PT_jobs).endswith("Computed on the CPU")


def test_why_it_ran_elsewhere_is_below_the_line_and_in_the_box_of_the_result(with_devices) -> None:
    with_devices([CARD, CPU], NOTE)
    bpy.ops.relievo.noise(width_px=48, height_px=32)
    assert joined(panels.RELIEVO_PT_jobs).endswith(NOTE)
    assert bpy.context.active_object is not None
    assert NOTE in joined(panels.RELIEVO_PT_main)
