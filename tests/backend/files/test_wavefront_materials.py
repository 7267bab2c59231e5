"""Options of textures in .mtl files: where they lie on the surface is applied to the UVs, or named."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from backend.files.meshes.reading import read
from shared.errors import InvalidInput

UVS = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 0.25], [0.0, 0.25]])
QUAD = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n" + "".join(f"vt {u} {v}\n" for u, v in UVS)
FACE = "f 1/1 2/2 3/3 4/4\n"


def uvs_of(folder: Path, material: str, text: str = f"usemtl brick\n{FACE}", library: str = "wall.mtl") -> np.ndarray:
    """The UVs of the corners 1, 2, 3, 4 of every quad, of a mesh beside a material file."""
    (folder / "wall.mtl").write_bytes(material.encode())
    (folder / "wall.obj").write_text(f"mtllib {library}\n{QUAD}{text}", encoding="utf-8")
    triangles = read(folder / "wall.obj").values[..., 3:]
    return np.concatenate([triangles[0::2], triangles[1::2, 2:]], axis=1)


@pytest.mark.parametrize(
    ("line", "scale", "offset"),
    [
        ("map_Kd -s 2 4 1 -o 0 0 0 brick wall 2.png", (2, 4), (0, 0)),
        ("map_Kd -o 0.5 0.25 0 -s 0.5 0.5 1 brick.png", (0.5, 0.5), (0.5, 0.25)),
        ("map_Kd -clamp on -blendu off -bm 0.3 -mm 0 1 -o 0.25 C:\\maps\\brick.png", (1, 1), (0.25, 0)),
        ("\tmap_kd\t-s\t2\tbrick.png", (2, 1), (0, 0)),
        ("map_Kd -s 0,5 0,5 1 -imfchan l brick.png", (0.5, 0.5), (0, 0)),
        ("map_Kd -s 2 2 \\\n 1 brick.png", (2, 2), (0, 0)),
        ("map_Kd -o 1 0 0 brick.png", (1, 1), (1, 0)),
        ("map_Bump -s 2 2 2 -bm 1 height.png", (2, 2), (0, 0)),
        ("map_Kd brick -s.png", (1, 1), (0, 0)),
        ("Kd 0.5 0.5 0.5", (1, 1), (0, 0)),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_scale_and_offset_move_the_uvs(
    line: str, scale: tuple[float, float], offset: tuple[float, float], end: str, tmp_path: Path
) -> None:
    text = f"# by hand\nnewmtl other\nmap_Kd -s 9 9 9 a.png\nnewmtl brick \nKa 1 1 1\n{line}\n".replace("\n", end)
    np.testing.assert_allclose(uvs_of(tmp_path, text)[0], UVS * scale + offset, atol=1e-6)


def test_only_the_faces_of_the_material_are_moved(tmp_path: Path) -> None:
    text = f"{FACE}usemtl plain\n{FACE}usemtl brick\n{FACE}f 1 2 3 4\nusemtl plain\n{FACE}"
    found = uvs_of(tmp_path, "newmtl brick\nmap_Kd -s 2 2 1 a.png\nnewmtl plain\nmap_Kd a.png\n", text)
    for number, wanted in enumerate([UVS, UVS, UVS * 2, UVS * np.nan, UVS]):
        np.testing.assert_allclose(found[number], wanted, atol=1e-6)


def test_a_texture_that_repeats_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As in `map_Kd -s 4 4 1 -o 0.5 0 0`: the UVs reach from 0 to 2.5, and beyond 1 are further tiles."""
    with caplog.at_level(logging.WARNING):
        found = uvs_of(tmp_path, "newmtl brick\nmap_Kd -s 4 4 1 -o 0.5 0 0 a.png\n")
    np.testing.assert_allclose(found[0], UVS * 4 + [0.5, 0], atol=1e-6)
    assert "The material brick shows its texture at UVs from 0 to 2.5 (-s 4 4 -o 0.5 0)" in caplog.text
    assert "is repeated" in caplog.text


@pytest.mark.parametrize(
    ("material", "said"),
    [
        ("map_Kd -clamp on -s 4 4 1 a.png", "ends (-clamp on)"),
        ("map_Kd -t 0.1 0.1 0 a.png", "brick distorts its texture (-t)"),
        ("map_Kd -rotate 90 a.png", "option -rotate of a map in wall.mtl, material brick is not known"),
        ("map_Kd a.png\nmap_Bump -s 2 2 1 b.png", "differently: the UVs taken are those of map_kd, not of map_bump"),
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_named(
    material: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        uvs_of(tmp_path, f"newmtl brick\n{material}\n")
    assert said in caplog.text


def test_uvs_that_a_mirrored_texture_puts_left_of_the_square_are_moved_into_it(tmp_path: Path) -> None:
    found = uvs_of(tmp_path, "newmtl brick\nmap_Kd -s -1 1 1 a.png\n")
    np.testing.assert_allclose(found[0], UVS * [-1, 1] + [1, 0], atol=1e-6)


def test_material_files_with_spaces_several_and_missing(tmp_path: Path) -> None:
    (tmp_path / "my wall.mtl").write_text("newmtl brick\nmap_Kd -s 2 2 1 a.png\n", encoding="utf-8")
    for library in ("my wall.mtl", '"my wall.mtl"', "gone.mtl\nmtllib my wall.mtl"):
        np.testing.assert_allclose(uvs_of(tmp_path, "newmtl x\n", library=library)[0], UVS * 2, atol=1e-6)
    np.testing.assert_allclose(uvs_of(tmp_path, "newmtl x\n", library="gone.mtl")[0], UVS, atol=1e-6)


def test_material_files_elsewhere_are_not_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "mesh"
    folder.mkdir()
    (tmp_path / "out.mtl").write_text("newmtl brick\nmap_Kd -s 2 2 1 a.png\n", encoding="utf-8")
    (folder / "link.mtl").symlink_to(tmp_path / "out.mtl")
    for library in ("../out.mtl", str(tmp_path / "out.mtl"), "link.mtl"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            np.testing.assert_allclose(uvs_of(folder, "", library=library)[0], UVS, atol=1e-6)
        assert "is outside of the mesh's folder and is not read" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_material_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mtl")
    with pytest.raises(InvalidInput, match=r"pipe\.mtl.*named pipe"):
        uvs_of(tmp_path, "", library="pipe.mtl")
