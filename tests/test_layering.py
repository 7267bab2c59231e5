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
NO_BPY = ("link", "install")


@pytest.mark.skipif(not ADDON, reason="there is no add-on yet")
@pytest.mark.parametrize("path", ADDON, ids=name_of)
def test_the_addon_knows_neither_torch_nor_the_backend(path: Path) -> None:
    assert not imports_any(path, "torch", "numba", "rasterio", "scipy", "OpenEXR", "backend", "shared")
    if path.name != "client.py":
        assert not imports_any(path, "zmq"), "zmq is client.py's"
    if path.parent.name in NO_BPY or path.name == "property_table.py":
        assert not imports_any(path, "bpy", "bmesh", "mathutils")


@pytest.mark.parametrize("path", files("blender_addon/readers", "blender_addon/writers"), ids=name_of)
def test_readers_and_writers_do_not_lean_on_each_other(path: Path) -> None:
    other = {"readers": "writers", "writers": "readers"}[path.relative_to(ROOT / "blender_addon").parts[0]]
    assert not any(level and other in name.split(".") for name, level in imports(path))


def test_the_addons_folders_without_bpy_are_there() -> None:
    assert {path.parent.name for path in ADDON} >= set(NO_BPY)


SERVER_SIDE = [path for path in files("backend/server") if path.name != "worker.py"]


@pytest.mark.parametrize("path", [*SERVER_SIDE, ROOT / "backend/runtime/registry.py"], ids=name_of)
def test_the_servers_modules_never_name_torch(path: Path) -> None:
    assert not imports_any(
        path,
        *("torch", "numba", "scipy", "backend.server.worker", "backend.runtime.compute"),
        *("backend.ops", "backend.algorithms", "backend.models"),
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
    assert not loaded_by("import backend.server.server") & {"torch", "numba", "scipy", "rasterio"}


def test_importing_the_backend_loads_next_to_nothing() -> None:
    assert not loaded_by("import backend") & {"torch", "numba", "scipy", "zmq", "numpy", "rasterio"}


@pytest.mark.parametrize("path", files("backend/algorithms", "backend/ops", "backend/models"), ids=name_of)
def test_engines_know_no_socket_no_file_format_and_no_blender(path: Path) -> None:
    assert not imports_any(
        path, "zmq", "rasterio", "OpenEXR", "bpy", "argparse", "rich", "subprocess", "multiprocessing", "pickle"
    )
    assert not imports_any(path, *(f"backend.{name}" for name in ("server", "cli", "commands", "files.rasters")))


OPENING = {
    "open",
    "urlopen",
    "urlretrieve",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "fromfile",
    "tofile",
    "memmap",
}
LOADING = {"torch.load", "torch.save", "np.load", "np.save", "numpy.load", "numpy.save"}


@pytest.mark.parametrize("path", files("backend/algorithms", "backend/ops", "backend/models"), ids=name_of)
def test_engines_open_no_file_and_no_connection(path: Path) -> None:
    """Arrays come as inputs, weights by job.weights(); backend/files decodes what an input carries and reads what ships."""
    network = ("urllib", "http", "socket", "ssl", "ftplib", "tempfile", "shutil", "safetensors", "torch.hub")
    assert not imports_any(path, *network, "backend.runtime.weights", "backend.runtime.registry")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called.rpartition(".")[2] not in OPENING, called
            assert called not in LOADING, called


@pytest.mark.parametrize("path", files("backend"), ids=name_of)
def test_threads_are_set_in_one_place(path: Path) -> None:
    """backend/runtime/threads.py for a job; dispatch.py has the kernels' half of it, which an op may use for small work."""
    if name_of(path) in ("backend/runtime/threads.py", "backend/ops/dispatch.py"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert getattr(node, "attr", "") not in ("set_num_threads", "set_num_interop_threads"), path
        assert not (isinstance(node, ast.Constant) and node.value in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")), path


ABOVE = {
    "models": ("algorithms", "ops"),
    "ops": ("algorithms",),
    "measures": ("algorithms",),
    "algorithms": (),
}


@pytest.mark.parametrize("path", files(*(f"backend/{folder}" for folder in ABOVE)), ids=name_of)
def test_models_and_ops_below_algorithms(path: Path) -> None:
    above = ABOVE[path.relative_to(ROOT / "backend").parts[0]]
    found = imports_any(
        path, *(f"backend.{name}" for name in (*above, "server", "runtime.compute", "runtime.registry"))
    )
    if path.is_relative_to(ROOT / "backend/models"):
        found = {name for name in found if not name.startswith("backend.ops.layers.")}
    assert not found


@pytest.mark.parametrize("path", files("backend/ops/layers"), ids=name_of)
def test_layers_know_no_model(path: Path) -> None:
    assert not imports_any(path, "backend.models")


def is_kernel(path: Path) -> bool:
    """Numba twins: x_cpu.py beside its op x.py, the many of texels in a folder, and what they share: SIMD intrinsics, threads."""
    return path.stem.endswith("_cpu") or path.parent.name == "cpu" or path.name in ("simd.py", "kernel_threads.py")


KERNELS = [path for path in files("backend/ops") if is_kernel(path)]
CONSTANTS = [path for path in files("backend/ops") if path.stem.endswith("constants")]


@pytest.mark.parametrize("path", CONSTANTS, ids=name_of)
def test_constants_know_nothing(path: Path) -> None:
    assert not imports_any(path, "torch", "numba", "backend", "shared")


@pytest.mark.parametrize("path", KERNELS, ids=name_of)
def test_kernels_know_no_op(path: Path) -> None:
    """But for other kernels, and modules of numbers and nothing else that a kernel shares with its op."""
    kernels = [name_of(kernel).removesuffix(".py").replace("/", ".") for kernel in [*KERNELS, *CONSTANTS]]
    for name in imports_any(path, "torch", "backend"):
        assert any(f"{name}.".startswith(f"{kernel}.") or kernel.startswith(f"{name}.") for kernel in kernels), name


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


@pytest.mark.parametrize("path", files("backend", "blender_addon", "shared"), ids=name_of)
def test_no_comprehension_hides_an_import_that_its_function_uses(path: Path) -> None:
    """Python 3.12 takes such an import for an unset local variable in the function's other comprehensions and fails there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    hidden = {
        (function.name, target.id, target.lineno)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for comprehension in ast.walk(function)
        if isinstance(comprehension, ast.comprehension)
        for target in ast.walk(comprehension.target)
        if isinstance(target, ast.Name) and target.id in imported
    }
    assert not hidden
