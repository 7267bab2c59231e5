"""Scan textures from the command line: real files in, real files out, and one sentence for each thing that does not fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from backend.commands import formats
from backend.files import rasters
from backend.files.kinds import ENDINGS
from backend.files.meshes.reading import read as read_mesh
from backend.files.reports import readable_json
from shared.arrays import COLOR_IMAGE, TEXTURE, Array
from shared.cameras import Camera, read, write
from shared.cameras.flips import apply_flip
from shared.catalog.scan_texture import SPEC
from shared.errors import InvalidParameter
from tests.support import prepared_python

REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRON = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100", "NUMBA_NUM_THREADS": "2"}
WIDTH, HEIGHT, VIEWS = 96, 72, 5
QUICK = ("--size", "64", "--passes", "2", "--alignment", "none", "--threads", "2")


def relievo(*words: object, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return prepared_python.run(words, cwd=cwd, env=ENVIRON)


def refused(*words: object) -> str:
    """What stderr says of a scan that must be refused: one sentence and a hint, no traceback."""
    done = relievo("run", "scan_texture", *QUICK, *words)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.strip().splitlines() if not line.startswith("Scan Texture: ")]
    assert said[0].startswith("relievo: "), done.stderr
    assert len(said) <= 2, done.stderr
    return "\n".join(said)


# The scene: a plane seen by cameras around it, by closed forms -------------------------------------------------------


def cameras() -> list[Camera]:
    made = []
    for number, angle in enumerate(np.linspace(0, 2 * np.pi, VIEWS, endpoint=False)):
        center = np.array([0.5 + 0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle), 1.6])
        ahead = np.array([0.5, 0.5, 0.0]) - center
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        made.append(
            Camera(
                name=f"{number}.png",
                width=WIDTH,
                height=HEIGHT,
                fx=100.0,
                fy=100.0,
                cx=47.0,
                cy=37.0,
                rotation=rotation,
                translation=-rotation @ center,
            )
        )
    return made


def uv_of_plane(camera: Camera) -> np.ndarray:
    """[H, W, 2]: where each pixel's ray meets the square 0..1 of the plane z = 0, which are its UVs; NaN beside it."""
    x, y = np.meshgrid(
        (np.arange(WIDTH) + 0.5 - camera.cx) / camera.fx, (np.arange(HEIGHT) + 0.5 - camera.cy) / camera.fy
    )
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ camera.rotation
    points = camera.center - rays * (camera.center[2] / rays[..., 2:])
    uv = points[..., :2]
    uv[(uv < 0).any(axis=-1) | (uv > 1).any(axis=-1)] = np.nan
    return uv


def painting(uv: np.ndarray) -> np.ndarray:
    u, v = uv[..., 0], uv[..., 1]
    return np.stack([0.5 + 0.4 * np.sin(9 * u), 0.5 + 0.4 * np.cos(8 * v), 0.5 + 0.3 * np.sin(5 * u + 4 * v)], axis=-1)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scan.obj, cameras.json, images, uvs and masks."""
    folder = tmp_path_factory.mktemp("scan")
    for name in ("images", "uvs", "masks"):
        (folder / name).mkdir()
    for camera in cameras():
        uv = uv_of_plane(camera)
        pixels = np.rint(255 * np.nan_to_num(painting(uv), nan=0.1)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / camera.name)
        red, green = np.nan_to_num(uv[..., 0], nan=-1.0), np.where(np.isnan(uv[..., 1]), -1.0, 1 - uv[..., 1])
        channels = {"RGB": np.stack([red, green, 0 * red], axis=-1).astype(np.float32)}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(
            str(folder / "uvs" / f"{Path(camera.name).stem}.exr")
        )
        Image.new("L", (WIDTH, HEIGHT), 255).save(folder / "masks" / camera.name)
    write(cameras(), folder / "cameras.json")
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    lines = [f"v {x} {y} 0" for x, y in corners] + [f"vt {x} {y}" for x, y in corners]
    (folder / "scan.obj").write_text("\n".join([*lines, "f 1/1 2/2 3/3", "f 1/1 3/3 4/4"]) + "\n")
    return folder


@pytest.fixture
def own(scan: Path, tmp_path: Path) -> Path:
    """A copy of the scan that a test may spoil."""
    return Path(shutil.copytree(scan, tmp_path / "own"))


def posed(folder: Path) -> list[object]:
    return ["--mesh", folder / "scan.obj", "--cameras", folder / "cameras.json", "--images", folder / "images"]


def error_of(texture: Path) -> float:
    """Root mean square difference from the painting, of texels that some photograph sees well inside."""
    image = np.asarray(Image.open(texture))
    size = image.shape[0]
    centers = (np.arange(size) + 0.5) / size
    truth = painting(np.stack(np.meshgrid(centers, 1 - centers), axis=-1))
    core = slice(size // 8, -size // 8)
    return float(np.sqrt(np.mean((image[core, core] / 255.0 - truth[core, core]) ** 2)))


# What comes out ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("first")
    done = relievo(
        "run", "scan_texture", *QUICK, *posed(scan), "--hold-out", 4, "--format", "png8", "exr", "--out", out
    )
    assert done.returncode == 0, done.stderr
    return out, done


def test_a_scan_becomes_a_folder_that_blender_opens(first):
    out, done = first
    names = {path.name for path in out.iterdir()}
    assert names == {
        "texture.png", "texture.exr", "coverage.png", "coverage.exr", "confidence.png", "confidence.exr", "mesh.obj", "mesh.mtl",
        "mesh.glb", "report.json", "recipe.json",
    } - {"coverage.png"}  # fmt: skip  # a count is no 8-bit picture
    assert set(done.stdout.split()) == {str(out / name) for name in names}
    assert error_of(out / "texture.png") < 0.02
    assert "map_Kd texture.png" in (out / "mesh.mtl").read_text()
    np.testing.assert_allclose(
        np.sort(read_mesh(out / "mesh.glb").values.ravel()), np.sort(read_mesh(out / "mesh.obj").values.ravel())
    )
    with OpenEXR.File(str(out / "texture.exr")) as file:
        linear = file.channels()["RGB"].pixels
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(encoded, np.asarray(Image.open(out / "texture.png")) / 255.0, atol=0.6 / 255)


def test_the_report_reads_well_and_its_summary_is_told(first):
    out, done = first
    text = (out / "report.json").read_text()
    report = json.loads(text)
    assert len(report["photographs"]) == VIEWS
    for photograph in report["photographs"]:
        assert sum(f'"name": "{photograph["name"]}"' in line for line in text.splitlines()) == 1
    assert report["summary"]
    for sentence in report["summary"]:
        assert sentence in done.stderr
    assert "dB" in done.stderr


def test_a_recipe_repeats_a_scan_to_the_byte_and_knows_every_file(first, scan, own, tmp_path):
    out, _ = first
    recipe = json.loads((out / "recipe.json").read_text())
    assert [Path(item["file"]["path"]).name for item in recipe["inputs"]["images"]] == [
        camera.name for camera in cameras()
    ]
    again = relievo("run", "--recipe", out / "recipe.json", "--out", tmp_path / "again", "--quiet")
    assert again.returncode == 0, again.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()
    }
    (own / "recipe.json").write_text((out / "recipe.json").read_text().replace(str(scan), str(own)))
    for name in ("images/2.png", "cameras.json", "scan.obj"):
        before = (own / name).read_bytes()
        (own / name).write_bytes(before + b"\n")
        done = relievo("run", "--recipe", own / "recipe.json", "--out", tmp_path / "never")
        assert done.returncode == 2
        assert f"{name.rpartition('/')[2]} has changed since the recipe was written" in done.stderr
        (own / name).write_bytes(before)


def test_ready_uv_maps_in_the_layout_of_neuraltexgen(scan, tmp_path):
    done = relievo("run", "scan_texture", *QUICK, "--views", scan, "--out", tmp_path, "--format", "png8")
    assert done.returncode == 0, done.stderr
    assert error_of(tmp_path / "texture.png") < 0.02
    assert not (tmp_path / "mesh.obj").exists()
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert {port: len(items) for port, items in recipe["inputs"].items()} == {
        "images": VIEWS,
        "uv_maps": VIEWS,
        "masks": VIEWS,
    }


def test_masks_leave_out_what_they_cover_and_may_lack(own, tmp_path):
    """A stain in one photograph is mended by its mask; the others have none."""
    stain = (slice(HEIGHT // 2 - 8, HEIGHT // 2 + 8), slice(WIDTH // 2 - 8, WIDTH // 2 + 8))
    stained = np.array(Image.open(own / "images" / "1.png"))
    stained[stain] = np.where(stained[stain] > 127, 0, 255)
    Image.fromarray(stained).save(own / "images" / "1.png")
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[stain] = 0
    shutil.rmtree(own / "masks")
    (own / "masks").mkdir()
    Image.fromarray(mask).save(own / "masks" / "1.png.png")  # COLMAP's way of naming a mask
    words = [*QUICK, *posed(own), "--robustness", "none", "--color-correction", "none", "--format", "png8"]
    assert relievo("run", "scan_texture", *words, "--out", tmp_path / "bare").returncode == 0
    done = relievo("run", "scan_texture", *words, "--masks", own / "masks", "--out", tmp_path / "masked")
    assert done.returncode == 0, done.stderr
    assert "4 photographs have no mask" in done.stderr
    errors = {name: error_of(tmp_path / name / "texture.png") for name in ("masked", "bare")}
    assert errors["masked"] < min(0.003, errors["bare"] / 2), errors
    assert relievo("run", "--recipe", tmp_path / "masked", "--out", tmp_path / "again").returncode == 0
    assert (tmp_path / "again" / "texture.png").read_bytes() == (tmp_path / "masked" / "texture.png").read_bytes()


def test_dry_run_shows_the_photographs_in_their_cameras_order(scan):
    done = relievo("run", "scan_texture", *posed(scan), "--masks", scan / "masks", "--dry-run")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    order = [Path(item["path"]).name for item in plan["inputs"]["images"]]
    assert (
        order == [Path(item["path"]).name for item in plan["inputs"]["masks"]] == [camera.name for camera in cameras()]
    )


def test_udim_tiles_become_files_that_the_meshes_name(own, tmp_path):
    """The plane's left and right halves in a tile each."""
    corners = [(0, 0), (0.5, 0), (0.5, 1), (0, 1), (0.5, 0), (1, 0), (1, 1), (0.5, 1)]
    uvs = [(0, 0), (1, 0), (1, 1), (0, 1), (1, 0), (2, 0), (2, 1), (1, 1)]
    lines = [f"v {x} {y} 0" for x, y in corners] + [f"vt {u} {v}" for u, v in uvs]
    lines += [f"f {' '.join(f'{i}/{i}' for i in face)}" for face in ((1, 2, 3), (1, 3, 4), (5, 6, 7), (5, 7, 8))]
    (own / "scan.obj").write_text("\n".join(lines) + "\n")
    done = relievo("run", "scan_texture", *QUICK, *posed(own), "--format", "png8", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for number, tile in enumerate((1001, 1002)):
        image = np.asarray(Image.open(tmp_path / "out" / f"texture.{tile}.png")) / 255.0
        centers = (np.arange(64) + 0.5) / 64
        truth = painting(np.stack(np.meshgrid((centers + number) / 2, 1 - centers), axis=-1))
        assert np.sqrt(np.mean((image - truth)[8:-8, 8:-8] ** 2)) < 0.02
        assert f"texture.{tile}.png" in (tmp_path / "out" / "mesh.mtl").read_text()
    assert len(read_mesh(tmp_path / "out" / "mesh.glb").values) == 4


def test_a_colmap_project_is_given_by_its_folder_alone(own):
    """Poses of the first cameras as COLMAP writes them, photographs where it expects them."""
    (own / "sparse" / "0").mkdir(parents=True)
    (own / "sparse" / "0" / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 100 100 47 37\n")
    lines = [f"{n + 1} 1 0 0 0 0 0 2 1 {camera.name}\n" for n, camera in enumerate(cameras()[::-1])]
    (own / "sparse" / "0" / "images.txt").write_text("\n".join(lines))
    done = relievo("run", "scan_texture", "--mesh", own / "scan.obj", "--cameras", own, "--dry-run")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [Path(item["path"]).resolve() for item in plan["inputs"]["images"]] == [
        own / "images" / camera.name for camera in cameras()[::-1]
    ]


# What is refused -----------------------------------------------------------------------------------------------------


def test_old_results_survive_every_refusal(own, tmp_path):
    (tmp_path / "texture.png").write_bytes(b"of before")
    (own / "images" / "3.png").write_bytes((own / "images" / "3.png").read_bytes()[:900])
    said = refused(*posed(own), "--out", tmp_path)
    assert "3.png" in said
    assert "cannot be decoded" in said
    assert [path.name for path in tmp_path.iterdir() if path != own] == ["texture.png"]
    assert (tmp_path / "texture.png").read_bytes() == b"of before"


def _without_photograph(folder: Path) -> list[object]:
    (folder / "images" / "2.png").unlink()
    return posed(folder)


def _of_others(folder: Path) -> list[object]:
    for path in (folder / "images").iterdir():
        path.rename(path.with_name(f"other{path.name}"))
    return posed(folder)


def _empty_folder(folder: Path) -> list[object]:
    (folder / "empty").mkdir()
    return [*posed(folder)[:-1], folder / "empty"]


def _of_another_size(folder: Path) -> list[object]:
    with Image.open(folder / "images" / "2.png") as image:
        image.resize((80, 60)).save(folder / "images" / "2.png")
    return posed(folder)


def _no_image(folder: Path) -> list[object]:
    (folder / "images" / "2.png").write_text("this is no photograph")
    return posed(folder)


def _mask_of_another_size(folder: Path) -> list[object]:
    Image.new("L", (10, 10), 255).save(folder / "masks" / "2.png")
    return [*posed(folder), "--masks", folder / "masks"]


def _masks_of_others(folder: Path) -> list[object]:
    for path in (folder / "masks").iterdir():
        path.rename(path.with_name(f"other{path.name}"))
    (folder / "masks" / "other2.png").unlink()
    return [*posed(folder), "--masks", folder / "masks"]


def _without_mesh(folder: Path) -> list[object]:
    return posed(folder)[2:]


def _missing_mesh(folder: Path) -> list[object]:
    (folder / "scan.obj").unlink()
    return posed(folder)


def _mesh_without_faces(folder: Path) -> list[object]:
    (folder / "scan.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    return posed(folder)


def _views_without_map(folder: Path) -> list[object]:
    (folder / "uvs" / "2.exr").unlink()
    return ["--views", folder]


def _views_without_photograph(folder: Path) -> list[object]:
    (folder / "images" / "2.png").unlink()
    return ["--views", folder]


def _views_and_images(folder: Path) -> list[object]:
    return ["--views", folder, "--images", folder / "images"]


def _broken_cameras(folder: Path) -> list[object]:
    (folder / "cameras.json").write_text((folder / "cameras.json").read_text()[:300])
    return posed(folder)


def _unknown_flip(folder: Path) -> list[object]:
    return [*posed(folder), "--flip", "open-gl"]


def _glb_without_picture(folder: Path) -> list[object]:
    return [*posed(folder), "--format", "exr", "glb"]


@pytest.mark.parametrize(("spoil", "words"), [
    (_without_photograph, ("1 of the 5 cameras", "has no photograph: 2.png", "--skip-missing")),
    (_of_others, ("None of the 5 cameras", "missing: 0.png, 1.png, 2.png ...", "--images")),
    (_empty_folder, ("empty has no photograph", "Looked for: .jpg")),
    (_of_another_size, ("2.png is 80 x 60", "camera has 96 x 72")),
    (_no_image, ("2.png is neither JPEG, PNG, TIFF nor WebP",)),
    (_mask_of_another_size, ("mask of 2.png is 10 x 10", "96 x 72")),
    (_masks_of_others, ("no mask for the photograph 0.png", "has the name of its photograph")),
    (_without_mesh, ("There is no mesh",)),
    (_missing_mesh, ("no file", "scan.obj")),
    (_mesh_without_faces, ("scan.obj",)),
    (_views_without_map, ("2.png", "has no UV map")),
    (_views_without_photograph, ("2.exr", "has no photograph")),
    (_views_and_images, ("which brings the images",)),
    (_broken_cameras, ("cameras.json", "cut short")),
    (_unknown_flip, ("no flip 'open-gl'", "Did you mean 'opengl'?")),
    (_glb_without_picture, ("PNG or JPEG", "Add png8")),
], ids=lambda value: value.__name__[1:] if isinstance(value, Callable) else "")  # fmt: skip
def test_bad_input_is_one_sentence(own, tmp_path, spoil, words):
    said = refused(*spoil(own), "--out", tmp_path / "out")
    for word in words:
        assert word in said
    assert not (tmp_path / "out").exists()


def test_cameras_without_photographs_can_be_left_out(own, tmp_path):
    words = [*_without_photograph(own), "--skip-missing", "--format", "png8", "--out", tmp_path]
    done = relievo("run", "scan_texture", *QUICK, *words)
    assert done.returncode == 0, done.stderr
    assert "1 of 5 cameras are left out" in done.stderr
    assert len(json.loads((tmp_path / "report.json").read_text())["photographs"]) == VIEWS - 1


def test_a_flipped_convention_is_told_with_the_flip_that_fits_and_it_does(own, tmp_path):
    wrong = apply_flip(apply_flip(read(own / "cameras.json").cameras, "opengl"), "inverted")
    write(wrong, own / "cameras.json")
    said = refused(*posed(own), "--out", tmp_path)
    assert "outside the photographs' frames" in said
    assert "--flip opengl-inverted" in said
    assert "Convention opengl-inverted" in said, "the option of Blender's importer, as it is called there"
    done = relievo(
        "run", "scan_texture", *QUICK, *posed(own), "--flip", "opengl-inverted", "--format", "png8", "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert error_of(tmp_path / "texture.png") < 0.02
    assert json.loads((tmp_path / "recipe.json").read_text())["reading"]["flip"] == "opengl-inverted"


# Formats -------------------------------------------------------------------------------------------------------------


def test_formats_go_to_the_ports_that_can_hold_them():
    assert formats.resolve(SPEC, None) == {
        "texture": ["png16"], "coverage": ["png16"], "confidence": ["png16"], "mesh": ["obj", "glb"], "report": ["json"],
    }  # fmt: skip
    made = formats.resolve(SPEC, ["jpg,exr", "obj"])
    assert (made["texture"], made["coverage"], made["mesh"]) == (["jpg", "exr"], ["exr"], ["obj"])
    assert formats.resolve(SPEC, ["exr"])["mesh"] == ["obj"]
    with pytest.raises(InvalidParameter, match="same file"):
        formats.resolve(SPEC, ["png8", "png16"])


@pytest.mark.parametrize("name", ["png16", "png8", "tif", "exr", "jpg", "npy"])
def test_every_picture_format_holds_a_texture(tmp_path, name):
    y, x = np.mgrid[0:40, 0:50]
    values = np.stack([x * 1300, y * 1600, (x + y) * 700], axis=-1).astype(np.uint16)
    path = tmp_path / f"texture{ENDINGS[name]}"
    rasters.write(Array(TEXTURE, values), path, bits=8 if name == "png8" else 16)
    if name == "npy":
        np.testing.assert_array_equal(np.load(path), values)
        return
    linear = rasters.read(COLOR_IMAGE, path).values
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    allowed = {"png8": 0.51 / 255, "jpg": 6 / 255}.get(name, 2e-5)
    assert np.abs(encoded - values / 65535.0).max() < allowed


def test_readable_json_is_json():
    content = {"a": 1, "list": [{"b": "é"}, {"b": None}], "words": ["x", "y"], "numbers": [1, 2], "empty": []}
    text = readable_json(content)
    assert json.loads(text) == content
    assert '  {"b": "é"},\n' in text


def test_help_and_list_are_quick_words():
    done = relievo("run", "scan_texture", "--help")
    assert done.returncode == 0
    for word in ("--views DIR", "--flip NAME", "--skip-missing", "--images PATH", "COLMAP", "mesh-z-up"):
        assert word in done.stdout
    assert "--pixel-size" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110
