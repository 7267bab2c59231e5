"""Dependencies point one way (architecture, section 1): every import of every file is read, none is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STDLIB = sys.stdlib_module_names


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(dotted name, level) of every import in a file, inside functions too; level counts the leading dots."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            if not node.level or not node.module:  # `from backend import ops`, `from . import codec`
                yield from (
                    (f"{node.module}.{alias.name}" if node.module else alias.name, node.level) for alias in node.names
                )


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [
        path for path in found if "shared" not in path.relative_to(ROOT).parts[1:]
    ]  # the add-on's staged copy is not source


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_any(path: Path, *packages: str) -> set[str]:
    """The imports of a file that are one of these packages or inside one."""
    return {
        name
        for name, level in imports(path)
        if not level and any(name == p or name.startswith(p + ".") for p in packages)
    }


@pytest.mark.parametrize("path", files("shared"), ids=name_of)
def test_shared_is_stdlib_and_numpy_and_relative(path: Path) -> None:
    depth = len(path.relative_to(ROOT / "shared").parts)
    for name, level in imports(path):
        if level:
            assert level <= depth, f"{name} reaches outside shared"
        else:
            assert name.split(".")[0] in STDLIB | {"numpy"}, name


ADDON = files("blender_addon")
MAY_USE_BPY = {"__init__.py", "preferences.py", "properties.py", "panels.py", "pump.py", "compat.py"}
NO_BPY = {"client.py", "session.py", "child_process.py", "installation.py", "process.py", "property_table.py"}


@pytest.mark.skipif(not ADDON, reason="there is no add-on yet")
@pytest.mark.parametrize("path", ADDON, ids=name_of)
def test_the_addon_knows_neither_torch_nor_the_backend(path: Path) -> None:
    assert not imports_any(path, "torch", "numba", "rasterio", "scipy", "OpenEXR", "backend", "shared")
    if path.name != "client.py":
        assert not imports_any(path, "zmq"), "zmq is client.py's"
    if path.name in NO_BPY and path.parent.name == "blender_addon":
        assert not imports_any(path, "bpy", "bmesh", "mathutils")


def test_the_addons_plain_modules_are_there() -> None:
    assert {path.name for path in ADDON} >= NO_BPY


SERVER_SIDE = [
    "server",
    "listening",
    "service",
    "lifecycle",
    "scheduler",
    "store",
    "job",
    "outbox",
    "workforce",
    "background",
    "registry",
]


@pytest.mark.parametrize("name", SERVER_SIDE)
def test_the_servers_modules_never_name_torch(name: str) -> None:
    path = ROOT / "backend" / f"{name}.py"
    assert not imports_any(
        path, "torch", "numba", "scipy", "backend.worker", "backend.compute", "backend.ops", "backend.algorithms"
    )


def loaded_by(code: str) -> set[str]:
    """Top-level packages in memory after running this in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_server_loads_no_torch() -> None:
    assert not loaded_by("import backend.server") & {"torch", "numba", "scipy", "rasterio"}


def test_importing_the_backend_loads_next_to_nothing() -> None:
    assert not loaded_by("import backend") & {"torch", "numba", "scipy", "zmq", "numpy", "rasterio"}


@pytest.mark.parametrize(
    "path", files("backend/algorithms", "backend/ops", "backend/kernels", "backend/models"), ids=name_of
)
def test_engines_know_no_socket_no_file_format_and_no_blender(path: Path) -> None:
    assert not imports_any(
        path, "zmq", "rasterio", "OpenEXR", "bpy", "argparse", "rich", "subprocess", "multiprocessing", "pickle"
    )
    assert not imports_any(
        path, *(f"backend.{name}" for name in ("server", "worker", "service", "store", "cli", "commands", "rasters"))
    )


ABOVE = {
    "kernels": ("ops", "models", "algorithms"),
    "ops": ("algorithms",),
    "models": ("algorithms",),
    "algorithms": (),
}


@pytest.mark.parametrize(
    "path", files("backend/kernels", "backend/ops", "backend/models", "backend/algorithms"), ids=name_of
)
def test_kernels_below_ops_below_algorithms(path: Path) -> None:
    above = ABOVE[path.relative_to(ROOT / "backend").parts[0]]
    assert not imports_any(path, *(f"backend.{name}" for name in (*above, "worker", "compute", "registry", "service")))


@pytest.mark.parametrize("path", files("backend"), ids=name_of)
def test_the_backend_knows_no_blender_and_unpickles_nothing(path: Path) -> None:
    assert not imports_any(path, "bpy", "blender_addon", "dill", "shelve", "marshal")
    assert imports_any(path, "pickle") <= {"pickle", "pickle.UnpicklingError"}, "its error may be caught"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (
            isinstance(node, ast.Attribute)
            and node.attr in ("Unpickler", "loads")
            and ast.unparse(node.value) == "pickle"
        )
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) != "pickle.load"
            assert not any(k.arg == "allow_pickle" and getattr(k.value, "value", None) is True for k in node.keywords)
            assert not any(k.arg == "weights_only" and getattr(k.value, "value", None) is False for k in node.keywords)


@pytest.mark.parametrize("path", files("backend", "shared", "blender_addon"), ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "no docstring"
