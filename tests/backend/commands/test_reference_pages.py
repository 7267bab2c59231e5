"""docs/reference says what the catalog says, and its examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from backend.commands import reference_pages
from backend.setup.small_inputs import small_inputs, typical_ports
from shared.algorithm import AlgorithmSpec
from shared.catalog import ALGORITHMS
from shared.params import with_role
from tests.test_contract import ROOT, SIDE, tiny_params, write_input

every_engine = pytest.mark.parametrize("spec", ALGORITHMS, ids=lambda spec: spec.name)


def test_pages_are_up_to_date() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in reference_pages.FOLDER.glob("*.md")}
    assert there == reference_pages.pages(), "run: python -m backend.commands.reference_pages"


def test_every_name_is_told() -> None:
    made = reference_pages.pages()
    for spec in ALGORITHMS:
        text = made[f"{spec.name}.md"]
        for item in (*spec.inputs, *spec.outputs, *spec.parameters, *spec.presets):
            assert f"| `{item.name}` |" in text


def examples(spec: AlgorithmSpec) -> tuple[str, str]:
    """The page's command line and its Python."""
    text = (reference_pages.FOLDER / f"{spec.name}.md").read_text(encoding="utf-8")
    command, code = re.findall(r"```(?:python)?\n(.*?)```", text, flags=re.DOTALL)
    return command.strip(), code


@every_engine
def test_the_command_line_example_runs(spec: AlgorithmSpec, tmp_path: Path) -> None:
    """As it stands but for the program's name, the output folder, and a small size."""
    for port, given in small_inputs(spec, SIDE).items():
        made = next(entry for entry in typical_ports(spec) if entry.name == port)
        write_input(tmp_path / reference_pages.example_file(made), given)
    words = shlex.split(examples(spec)[0])
    assert words[0] == "relievo.py"
    command = [sys.executable, "-m", "backend", *("out" if word == "DIR" else word for word in words[1:])]
    command += [
        word for name, value in tiny_params(spec).items() for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    environ = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = {Path(line).name.split(".")[0] for line in done.stdout.split()}
    assert {port.name for port in spec.outputs if not port.optional} <= written


@every_engine
def test_the_python_example_runs(spec: AlgorithmSpec) -> None:
    many = {port.name for port in spec.inputs if port.many}
    names = {
        port: list(given) if port in many else given[0].values if given[0].kind.name == "HEIGHT_MAP" else given[0]
        for port, given in small_inputs(spec, SIDE).items()
    }
    code = examples(spec)[1]
    sizes = "".join(f", {parameter.name}={SIDE}" for parameter in with_role(spec.parameters, "size"))
    code = code.replace("seed=7)", f"seed=7{sizes})")  # the one thing that is made smaller than the page has it
    exec(compile(code, f"{spec.name}.md", "exec"), names)
    declared = re.search(r"# (\w+) \[(.*)\]", code)
    assert declared is not None
    assert str(names["values"].dtype) == declared[1]
    assert names["values"].ndim == len(declared[2].split(","))
