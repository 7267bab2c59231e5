"""Every compiled kernel is the twin of one op that also runs without it: read from the sources, and tried without numba."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from backend.ops.dispatch import CPU_ONLY

ROOT = Path(__file__).resolve().parents[3]
OPS = ROOT / "backend" / "ops"


def dotted(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


MODULES = {dotted(path): path for path in sorted(OPS.rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported(nodes: Iterator[ast.AST] | list[ast.stmt]) -> set[str]:
    """Modules of backend.ops, numba and llvmlite among these import statements."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name in MODULES or name.split(".")[0] in ("numba", "llvmlite")}


@cache
def at_import(module: str) -> frozenset[str]:
    """What the module imports when it is imported itself."""
    return frozenset(imported(list(tree(module).body)))


@cache
def anywhere(module: str) -> frozenset[str]:
    return frozenset(imported(ast.walk(tree(module))))


@cache
def is_compiled(module: str) -> bool:
    """Whether importing the module brings numba in, itself or through another module."""
    direct = at_import(module)
    if any(name.split(".")[0] in ("numba", "llvmlite") for name in direct):
        return True
    return any(is_compiled(name) for name in direct if name != module)


def is_kernel(module: str) -> bool:
    path = MODULES[module]
    return (path.stem.endswith(("_cpu", "_cuda")) or path.parent.name in ("cpu", "cuda")) and path.name != "__init__.py"


KERNELS = [module for module in MODULES if is_kernel(module)]
OP_MODULES = [module for module in MODULES if not is_kernel(module) and not is_compiled(module)]


def ops_of(kernel: str) -> list[str]:
    return [module for module in OP_MODULES if kernel in anywhere(module)]


def functions(module: str) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef))


def public_with_impl(module: str) -> list[str]:
    """Names of public functions and methods that take impl."""
    return [
        function.name
        for function in functions(module)
        if not function.name.startswith("_")
        and any(argument.arg == "impl" for argument in (*function.args.args, *function.args.kwonlyargs))
    ]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_is_the_twin_of_one_op_or_part_of_another_kernel(kernel: str) -> None:
    ops = ops_of(kernel)
    users = [
        module for module in MODULES if module not in OP_MODULES and module != kernel and kernel in anywhere(module)
    ]
    assert ops or users, "nothing calls this kernel"
    assert len(ops) <= 1, f"a kernel has one op, not {ops}"


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if ops_of(kernel)])
def test_the_op_of_a_kernel_takes_impl_and_runs_without_it(kernel: str) -> None:
    for op in ops_of(kernel):
        check_op(op, kernel)


def check_op(op: str, kernel: str) -> None:
    assert kernel not in at_import(op), f"{op} imports {kernel} before anybody asks for it"
    assert public_with_impl(op), f"{op} has no public function that takes impl"
    calls = {
        node.func.id for node in ast.walk(tree(op)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "choose" in calls, f"{op} does not choose between its implementations"


@pytest.mark.parametrize("op", sorted({op for kernel in KERNELS for op in ops_of(kernel)}))
def test_an_op_is_held_to_its_plain_form_by_a_test(op: str) -> None:
    """Some test of ops names the module and asks for impl="plain"."""
    names = (op, op.rsplit(".", 1)[1])
    for path in sorted((ROOT / "tests" / "backend" / "ops").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__) and '"plain"' in text and any(name in text for name in names):
            return
    pytest.fail(f'no test under tests/backend/ops mentions {op} and asks for impl="plain"')


CUDA_OPS = {op for kernel in KERNELS if "_cuda" in kernel or ".cuda." in kernel for op in ops_of(kernel)}


@pytest.mark.parametrize("op", sorted(CUDA_OPS))
def test_an_op_with_a_cuda_twin_is_held_to_it_by_a_test(op: str) -> None:
    """Some test of ops names the module and asks for impl="cuda", which numba's simulator runs where there is no card."""
    names = (op, op.rsplit(".", 1)[1])
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "backend" / "ops").rglob("test_*.py")]
    assert any('"cuda"' in text and any(name in text for name in names) for text in texts)


def test_kernels_without_a_vectorised_form_exist_and_say_why() -> None:
    for name, reason in CPU_ONLY.items():
        assert f"backend.ops.{name}" in KERNELS, name
        assert len(reason.split()) >= 8, f"{name}: say why, not {reason!r}"


def test_every_op_can_be_imported_without_numba() -> None:
    code = "import sys, importlib\nsys.modules['numba'] = sys.modules['llvmlite'] = None\n" + "\n".join(
        f"importlib.import_module({module!r})" for module in OP_MODULES
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("from backend.ops.patches import unwanted_cpu\n", "before anybody asks"),
        ("def blur(x):\n    from backend.ops.patches import unwanted_cpu\n", "no public function"),
        ("def blur(x, impl):\n    from backend.ops.patches import unwanted_cpu\n", "does not choose"),
        ("", "nothing calls"),
    ],
)
def test_a_new_kernel_without_a_plain_form_is_found(
    source: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backend" / "ops" / "patches"
    folder.mkdir(parents=True)
    (folder / "unwanted_cpu.py").write_text("from numba import njit\n")
    (folder / "unwanted.py").write_text(source)
    kernel, op = "backend.ops.patches.unwanted_cpu", "backend.ops.patches.unwanted"
    monkeypatch.setitem(MODULES, kernel, folder / "unwanted_cpu.py")
    monkeypatch.setitem(MODULES, op, folder / "unwanted.py")
    monkeypatch.setattr(f"{__name__}.OP_MODULES", [*OP_MODULES, op])
    for reader in (tree, at_import, anywhere, is_compiled):
        reader.cache_clear()
    with pytest.raises(AssertionError, match=fault):
        check(kernel)


def check(kernel: str) -> None:
    test_a_kernel_is_the_twin_of_one_op_or_part_of_another_kernel(kernel)
    test_the_op_of_a_kernel_takes_impl_and_runs_without_it(kernel)
