"""The two zips: what is in them, the same bytes twice, and Blender's own tool says yes."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

import build_addon
from shared.version import VERSION

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("dist")
    return {target.name: build_addon.build(target, out)[0] for target in build_addon.TARGETS}


@pytest.mark.parametrize("target", build_addon.TARGETS, ids=lambda target: target.name)
def test_zip_holds_addon_shared_code_payload_and_wheels(zips: dict[str, Path], target: build_addon.Target):
    with zipfile.ZipFile(zips[target.name]) as archive:
        names = set(archive.namelist())
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert {
        "__init__.py",
        "install/process.py",
        "shared/codec.py",
        "payload/backend/setup/environment.py",
        "payload/shared/codec.py",
        "payload/pyproject.toml",
        "payload/locks/backend-cpu.lock",
        "payload/locks/backend-cuda.lock",
        "payload/locks/installer.lock",
        "payload/payload.txt",
        "LICENSE",
    } <= names
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)
    assert {f"./{name}" for name in names if name.endswith(".whl")} == set(manifest["wheels"])
    assert all(target.abi in wheel for wheel in manifest["wheels"])
    assert manifest["blender_version_min"] == target.blender_min
    assert manifest.get("blender_version_max", "") == target.blender_max


def test_versions_agree():
    manifest = tomllib.loads((ROOT / "blender_addon/blender_manifest.toml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert manifest["version"] == project["project"]["version"] == VERSION


def test_same_sources_give_the_same_bytes(zips: dict[str, Path], tmp_path: Path):
    target = build_addon.TARGETS[0]
    assert build_addon.build(target, tmp_path)[0].read_bytes() == zips[target.name].read_bytes()


def test_one_platform_is_small(tmp_path: Path):
    paths = build_addon.build(build_addon.TARGETS[0], tmp_path, split=True)
    small = [path for path in paths if path.stem.endswith("x64") or path.stem.endswith("arm64")]
    assert len(small) == len(build_addon.PLATFORMS)
    for path in small:
        both_architectures = "macos" in path.stem  # pyzmq has one wheel for Intel and Apple processors together
        assert path.stat().st_size < (19.5e6 if both_architectures else 19.0e6), path.name


def test_blenders_own_tool_accepts_each(zips: dict[str, Path]):
    for path in zips.values():
        if not build_addon.validate(path):
            pytest.skip("no Blender environment here to validate with")


def test_wrong_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A wheel that is not the pinned one must never reach a user's Blender."""
    monkeypatch.setattr(build_addon, "HERE", tmp_path)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    target = build_addon.TARGETS[0]
    name = next(iter(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["relievo"]["wheels"][target.group]))
    folder = tmp_path / "build" / "wheels"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"not a wheel")
    with pytest.raises(build_addon.BuildError, match="SHA-256"):
        build_addon.collect_wheels(target)
    assert not (folder / name).exists()
