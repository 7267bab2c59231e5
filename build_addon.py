#!/usr/bin/env python3
"""Builds the add-on: one folder with the add-on, the code both sides share, the backend's sources and pyzmq's wheels; then a zip.

    python3 build_addon.py                      dist/relievo-VERSION-blender-4.2-5.0.zip and dist/relievo-VERSION-blender-5.1.zip
    python3 build_addon.py --split-platforms    also one zip per platform: about 3 MB each
    python3 build_addon.py --link               for development: blender_addon can be run where it lies

Blender's own tool checks each zip where a Blender is at hand (an environment made by `relievo.py prepare`, or --blender PROGRAM).
Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from shared import digests

HERE = Path(__file__).resolve().parent
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.nbi", "*.nbc", "shared", "payload", "wheels")
LOCKS = ("backend-cpu.lock", "backend-cuda.lock", "installer.lock")  # what Install Backend installs
PLATFORMS = {
    "linux-x64": "manylinux",
    "windows-x64": "win_amd64",
    "windows-arm64": "win_arm64",
    "macos-arm64": "macosx",
    "macos-x64": "macosx",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A range of Blenders that one zip is for. blender_max is exclusive, "" for none."""

    name: str
    group: str
    blender_min: str
    blender_max: str
    python: str
    abi: str


TARGETS = (
    Target(name="4.2-5.0", group="blender-4-2", blender_min="4.2.0", blender_max="5.1.0", python="3.11", abi="cp311"),
    Target(name="5.1", group="blender-5-1", blender_min="5.1.0", blender_max="", python="3.13", abi="abi3"),
)


class BuildError(Exception):
    """One sentence for the terminal."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "dist", help="folder for the zips (dist)")
    parser.add_argument("--only", choices=[target.name for target in TARGETS], help="one zip only")
    parser.add_argument("--split-platforms", action="store_true", help="also one zip per platform")
    parser.add_argument("--link", action="store_true", help="link blender_addon/shared for development; build nothing")
    parser.add_argument("--blender", help="a Blender program that validates the zips")
    options = parser.parse_args(argv)
    try:
        if options.link:
            print(link())
            return 0
        for target in TARGETS:
            if options.only in (None, target.name):
                for path in build(target, options.out, split=options.split_platforms):
                    validate(path, options.blender)
                    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    except (BuildError, OSError) as error:
        print(f"build_addon: {error}", file=sys.stderr)
        return 1
    return 0


def link() -> Path:
    """Makes blender_addon importable where it lies: shared beside it becomes shared in it."""
    path = HERE / "blender_addon" / "shared"
    if not path.exists():
        try:
            path.symlink_to(Path("..") / "shared", target_is_directory=True)
        except OSError:  # Windows without the right to make links
            subprocess.run(["cmd", "/c", "mklink", "/J", str(path), str(HERE / "shared")], check=True)
    return path


def stage(dest: Path, target: Target, *, wheels: dict[str, Path]) -> None:
    """Lays the add-on's whole folder out in `dest`, which must not exist."""
    shutil.copytree(HERE / "blender_addon", dest, ignore=IGNORED)
    shutil.copytree(HERE / "shared", dest / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    payload = dest / "payload"
    for name in ("backend", "shared"):
        shutil.copytree(HERE / name, payload / name, ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"))
    shutil.copy2(HERE / "pyproject.toml", payload / "pyproject.toml")
    (payload / "locks").mkdir()
    for name in LOCKS:
        shutil.copy2(HERE / "locks" / name, payload / "locks" / name)
    (payload / "payload.txt").write_text(tree_digest(payload) + "\n", encoding="utf-8")
    if (HERE / "LICENSE").exists():
        shutil.copy2(HERE / "LICENSE", dest / "LICENSE")
    (dest / "wheels").mkdir()
    for name, path in wheels.items():
        shutil.copy2(path, dest / "wheels" / name)
    manifest = (HERE / "blender_addon/blender_manifest.toml").read_text(encoding="utf-8")
    (dest / "blender_manifest.toml").write_text(write_manifest(manifest, target, sorted(wheels)), encoding="utf-8")


def write_manifest(text: str, target: Target, wheels: list[str], platforms: list[str] | None = None) -> str:
    """The manifest of a zip: the add-on's own, with the Blender versions, the wheels and the platforms of this one."""
    lines = f'blender_version_min = "{target.blender_min}"'
    if target.blender_max:
        lines += f'\nblender_version_max = "{target.blender_max}"'
    listed = "".join(f'  "./wheels/{name}",\n' for name in wheels)
    text = re.sub(r'blender_version_min = ".*"', lines, text)
    if platforms is not None:
        text = re.sub(r"platforms = \[.*\]", f"platforms = {json.dumps(platforms)}", text)
    return text.replace("\n[permissions]", f"\nwheels = [\n{listed}]\n\n[permissions]")


def tree_digest(folder: Path) -> str:
    """Changes with any file below the folder."""
    return digests.of_tree(folder, (path for path in folder.rglob("*") if path.is_file()))[:16]


def build(target: Target, out: Path, *, split: bool = False) -> list[Path]:
    """The zip of a target, and one a platform where asked. The same sources give the same bytes."""
    version = tomllib.loads((HERE / "blender_addon/blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    wheels = collect_wheels(target)
    jobs: list[tuple[str, list[str] | None]] = [
        ("", None),
        *([(f"-{name}", [name]) for name in PLATFORMS] if split else []),
    ]
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix, platforms in jobs:
        chosen = {
            n: p for n, p in wheels.items() if platforms is None or any(PLATFORMS[name] in n for name in platforms)
        }
        folder = HERE / "build" / f"relievo-{target.name}{suffix}"
        shutil.rmtree(folder, ignore_errors=True)
        stage(folder, target, wheels=chosen)
        if platforms is not None:
            manifest = (HERE / "blender_addon/blender_manifest.toml").read_text(encoding="utf-8")
            text = write_manifest(manifest, target, sorted(chosen), platforms)
            (folder / "blender_manifest.toml").write_text(text, encoding="utf-8")
        paths.append(_zip(folder, out / f"relievo-{version}-blender-{target.name}{suffix}.zip"))
    return paths


def _zip(folder: Path, path: Path) -> Path:
    temporary = path.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date_time=(2026, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())
    os.replace(temporary, path)
    return path


def collect_wheels(target: Target) -> dict[str, Path]:
    """pyzmq's wheels of a target by file name, downloaded once into build/wheels and checked against pyproject.toml."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    pinned: dict[str, str] = project["tool"]["relievo"]["wheels"][target.group]
    folder = HERE / "build" / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in pinned.items():
        path = folder / name
        if not path.exists():
            _download(name, target, folder)
        if not path.exists():
            raise BuildError(f"{name} was not found in the package indexes. Put it into {folder}.")
        if digests.of_file(path) != digest:
            path.unlink()
            raise BuildError(
                f"{name} is not the file that pyproject.toml pins: its SHA-256 differs. It has been deleted."
            )
    return {name: folder / name for name in pinned}


def _pip() -> list[str]:
    """pip as a command: this Python's, else that of the Python this environment was made from, or any on the path."""
    pythons = [
        sys.executable,
        getattr(sys, "_base_executable", ""),
        shutil.which("python3") or "",
        shutil.which("python") or "",
    ]
    for python in filter(None, dict.fromkeys(pythons)):
        command = [python, "-m", "pip"]
        if subprocess.run([*command, "--version"], capture_output=True).returncode == 0:
            return command
    raise BuildError("pyzmq's wheels are downloaded with pip, which no Python here has. Install pip.")


def _download(name: str, target: Target, folder: Path) -> None:
    distribution, version, _, _, platform = name.removesuffix(".whl").split("-")
    command = [
        *_pip(),
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--dest",
        str(folder),
        "--only-binary=:all:",
        "--implementation",
        "cp",
        "--python-version",
        target.python,
        "--abi",
        target.abi,
        "--platform",
        platform.rpartition(".")[2],
        f"{distribution}=={version}",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise BuildError(
            f"{name} could not be downloaded ({last}). Put it into {folder} by hand, or connect to the internet."
        )


def validate(path: Path, blender: str | None = None) -> bool:
    """Has Blender's own tool check a zip; False where no Blender is at hand, BuildError where it refuses."""
    tool = next(
        HERE.glob(".venv-blender-*/lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"), None
    )
    if blender:
        command = [blender, "--command", "extension", "validate", str(path)]
    elif tool:
        command = [sys.executable, str(tool), "validate", str(path)]
    else:
        print("build_addon: no Blender found to validate the zip; `relievo.py prepare` installs one.", file=sys.stderr)
        return False
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise BuildError(f"Blender refuses {path.name}: {(result.stdout + result.stderr).strip()}")
    return True


if __name__ == "__main__":
    sys.exit(main())
