"""What every algorithm owes to the command line, the server and Blender, whoever wrote it (architecture, section 7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backend as relievo_backend
from shared.algorithm import AlgorithmSpec, Port, check_inputs
from shared.arrays import Array, check
from shared.catalog import ALGORITHMS
from shared.messages import Cancel, Result
from shared.params import Param, check_value, parse, to_json
from tests.support.backend_process import ROOT, BackendProcess, Peer, wait_for

SIDE = 64
PARAMETERS = [(spec, parameter) for spec in ALGORITHMS for parameter in spec.parameters]
KEYWORDS_OF_RUN = {"algorithm", "preset", "device", "on_progress"}  # pixel_size_m means the same in both places

every_algorithm = pytest.mark.parametrize("spec", ALGORITHMS, ids=lambda spec: spec.name)
every_parameter = pytest.mark.parametrize(("spec", "parameter"), PARAMETERS, ids=lambda value: value.name)


def devices() -> list[str]:
    from backend.runtime.device import device_names

    return device_names()


def landscape(side: int, seed: int) -> np.ndarray:
    """Smooth hills with a slope and some roughness, 0 to 600 m: every engine has something to do on it."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    rough = np.random.default_rng(seed).normal(0, 4, (side, side))
    heights = 200 * np.sin(3 * rows + seed) * np.cos(4 * columns) + 150 * rows + rough
    return (heights - heights.min()).astype(np.float32)


def tiny_array(port: Port, seed: int, side: int = SIDE) -> Array:
    """A small array of the port's kind."""
    kind = port.kind
    attributes = {"pixel_size_m": 30.0} if "pixel_size_m" in kind.attributes else {}
    heights = landscape(side, seed)
    if kind.name == "CLASS_MAP":
        values: np.ndarray = np.zeros((side, side), np.uint8)
    elif kind.max == 1.0:
        values = heights / heights.max()
    elif "3" in kind.axes:
        values = np.repeat((heights / heights.max())[..., None], 3, axis=2)
    else:
        values = heights
    return check(Array(kind, np.ascontiguousarray(values, np.dtype(kind.dtype)), attributes))


def tiny_inputs(spec: AlgorithmSpec, side: int = SIDE) -> dict[str, tuple[Array, ...]]:
    """One array for every input that is not optional; a scan needs photographs that belong to a mesh and cameras."""
    if spec.name == "scan_texture":
        return {name: given if isinstance(given, tuple) else (given,) for name, given in tiny_scan(side).items()}
    return {port.name: (tiny_array(port, seed, side),) for seed, port in enumerate(spec.inputs, 1) if not port.optional}


@cache
def tiny_scan(side: int) -> dict[str, Any]:
    from tests.support.small_scan import small_scan

    inputs = small_scan(5, width=side + side // 4, height=side, focal_px=1.5 * side).inputs()
    return inputs | {"images": tuple(inputs["images"])}


def tiny_params(spec: AlgorithmSpec) -> dict[str, Any]:
    """Parameters under which a tiny input takes a moment: a smaller size and few iterations, where there are such
    parameters.
    """
    small = {
        "width": SIDE,
        "height": SIDE,
        "size": SIDE,
        "size_px": SIDE,
        "width_px": SIDE,
        "height_px": SIDE,
        "iterations": 4,
        "steps": 4,
        "rounds": 1,
    }
    chosen = {}
    for parameter in spec.parameters:
        if parameter.name in small and parameter.type == "int":
            least = parameter.min if parameter.min is not None else 0
            chosen[parameter.name] = max(small[parameter.name], int(least))
    return chosen


def run(
    spec: AlgorithmSpec, inputs: dict[str, tuple[Array, ...]], device: str = "cpu", **changes: Any
) -> dict[str, Array]:
    values: dict[str, Any] = {
        name: list(given) if port_of(spec, name).many else given[0] for name, given in inputs.items()
    }
    return relievo_backend.run(spec.name, device=device, **values, **(tiny_params(spec) | changes))


def port_of(spec: AlgorithmSpec, name: str) -> Port:
    return next(port for port in spec.inputs if port.name == name)


def parts_of(outputs: dict[str, Any]) -> dict[str, Array]:
    """Every array by a name of its own; a port of several gives NAME.0, NAME.1 and so on."""
    parts = {}
    for name, given in outputs.items():
        if isinstance(given, tuple):
            parts |= {f"{name}.{place}": array for place, array in enumerate(given)}
        else:
            parts[name] = given
    return parts


def bytes_of(outputs: dict[str, Any]) -> dict[str, bytes]:
    return {name: array.values.tobytes() for name, array in parts_of(outputs).items()}


def test_there_are_algorithms_of_different_names() -> None:
    assert len({spec.name for spec in ALGORITHMS}) == len(ALGORITHMS) >= 1


# Declarations -------------------------------------------------------------------------------------------------------


@every_algorithm
def test_names_do_not_collide(spec: AlgorithmSpec) -> None:
    names = [*(parameter.name for parameter in spec.parameters), *(port.name for port in spec.inputs)]
    assert len(set(names)) == len(names), "backend.run() takes both by name"
    assert not KEYWORDS_OF_RUN & set(names)
    assert all(name.isidentifier() and name not in {"name", "items", "keys", "type", "bl_rna"} for name in names), (
        "Blender's own"
    )


@every_algorithm
def test_words_for_people_are_there(spec: AlgorithmSpec) -> None:
    assert spec.label
    assert spec.summary
    assert spec.icon.isupper()
    for part in (*spec.inputs, *spec.outputs, *spec.parameters, *spec.presets):
        assert part.label, part.name
        assert part.help, part.name
    assert spec.outputs


@every_algorithm
def test_presets_are_valid(spec: AlgorithmSpec) -> None:
    for preset in spec.presets:
        params = parse(spec.params, preset.values)
        assert {name: to_json(params)[name] for name in preset.values} == dict(preset.values)


@every_parameter
def test_defaults_are_their_own_valid_values(spec: AlgorithmSpec, parameter: Param) -> None:
    assert check_value(parameter, parameter.default) == parameter.default
    assert json.loads(json.dumps(parameter.default)) == parameter.default


@every_parameter
def test_defaults_and_bounds_survive_blenders_float32(spec: AlgorithmSpec, parameter: Param) -> None:
    """A slider at its end stop must not be refused: Blender keeps floats in 32 bits, and sends float(str(float32))."""
    if parameter.type == "float":
        for value in (parameter.default, parameter.min, parameter.max, parameter.soft_min, parameter.soft_max):
            if value is not None:
                sent = float(str(np.float32(value)))
                assert check_value(parameter, sent) == pytest.approx(value, rel=1e-6)
    elif parameter.type == "int":
        for value in (parameter.min, parameter.max):
            assert value is None or -(2**31) <= value < 2**31, "Blender's integers have 32 bits"


@every_parameter
def test_soft_bounds_lie_within_the_hard_ones(spec: AlgorithmSpec, parameter: Param) -> None:
    low, high = (
        (-np.inf if parameter.min is None else parameter.min),
        (np.inf if parameter.max is None else parameter.max),
    )
    for value in (parameter.soft_min, parameter.soft_max):
        assert value is None or low <= value <= high


# Runs ---------------------------------------------------------------------------------------------------------------


@every_algorithm
@pytest.mark.parametrize("device", devices())
def test_runs_on_a_tiny_input_and_keeps_its_promises(spec: AlgorithmSpec, device: str) -> None:
    inputs = tiny_inputs(spec)
    before = {name: [array.values.copy() for array in given] for name, given in inputs.items()}
    steps: list[tuple[int, int]] = []
    values: dict[str, Any] = {
        name: list(given) if port_of(spec, name).many else given[0] for name, given in inputs.items()
    }
    outputs = relievo_backend.run(
        spec.name,
        device=device,
        on_progress=lambda done, total, stage, left: steps.append((done, total)),
        **values,
        **tiny_params(spec),
    )
    kinds = {port.name: port.kind for port in spec.outputs}
    assert {port.name for port in spec.outputs if not port.optional} <= outputs.keys() <= kinds.keys()
    for name, array in parts_of(outputs).items():
        assert array.kind is kinds[name.split(".")[0]]
        assert check(array) is array
    assert steps, "it must report"
    assert steps == sorted(steps, key=lambda step: step[0] / step[1]), "progress does not run backwards"
    for name, given in inputs.items():
        for array, values_before in zip(given, before[name], strict=True):
            np.testing.assert_array_equal(array.values, values_before, err_msg="inputs are not changed")


@every_algorithm
def test_the_same_seed_gives_the_same_bytes(spec: AlgorithmSpec) -> None:
    inputs = tiny_inputs(spec)
    assert bytes_of(run(spec, inputs)) == bytes_of(run(spec, inputs))


@pytest.fixture(scope="module")
def made_with_threads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What every algorithm makes with 1 and with 2 threads, as NAME.npz in a folder each: a process's count is fixed."""
    code = (
        "import sys, torch, numpy as np\n"
        "from shared.catalog import ALGORITHMS\n"
        "from tests.test_contract import parts_of, run, tiny_inputs\n"
        "torch.set_num_threads(int(sys.argv[1]))\n"
        "for spec in ALGORITHMS:\n"
        "    made = parts_of(run(spec, tiny_inputs(spec)))\n"
        "    np.savez(f'{sys.argv[2]}/{spec.name}.npz', **{name: array.values for name, array in made.items()})\n"
    )
    folders = {}
    for threads in ("1", "2"):
        folders[threads] = tmp_path_factory.mktemp(f"threads{threads}")
        counts = dict.fromkeys(("RELIEVO_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), threads)
        command = [sys.executable, "-c", code, threads, str(folders[threads])]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **counts}, check=True)
    return folders


@every_algorithm
def test_the_number_of_threads_changes_no_byte(made_with_threads: dict[str, Path], spec: AlgorithmSpec) -> None:
    made = []
    for folder in made_with_threads.values():
        with np.load(folder / f"{spec.name}.npz") as archive:
            made.append({name: archive[name].tobytes() for name in archive.files})
    assert {name.split(".")[0] for name in made[0]} >= {port.name for port in spec.outputs if not port.optional}
    assert made[0] == made[1]


def strided(values: np.ndarray) -> np.ndarray:
    """The same values, read-only, in memory with gaps along every axis."""
    for axis in range(values.ndim):
        values = np.repeat(values, 2, axis)
    values = values[(slice(None, None, 2),) * values.ndim]
    values.flags.writeable = False
    return values


@every_algorithm
def test_read_only_and_strided_inputs_are_taken(spec: AlgorithmSpec) -> None:
    inputs = tiny_inputs(spec)
    expected = bytes_of(run(spec, inputs))
    odd = {}
    for name, given in inputs.items():
        odd[name] = tuple(Array(array.kind, strided(array.values), array.attributes) for array in given)
    assert bytes_of(run(spec, odd)) == expected


def test_a_call_passes_the_pixel_size_to_engines_that_make_maps() -> None:
    height = relievo_backend.run("noise", width_px=SIDE, height_px=SIDE, pixel_size_m=7.5)["height"]
    assert height.pixel_size_m == 7.5


@every_algorithm
def test_a_missing_input_is_named(spec: AlgorithmSpec) -> None:
    from shared.errors import InvalidInput

    needed = [port for port in spec.inputs if not port.optional]
    for port in needed:
        with pytest.raises(InvalidInput) as caught:
            check_inputs(spec, {name: given for name, given in tiny_inputs(spec).items() if name != port.name})
        assert caught.value.field == port.name


# Wire and command line ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    with BackendProcess(tmp_path_factory.mktemp("contract")) as process:
        yield process


@pytest.fixture
def client(server: BackendProcess) -> Iterator[Peer]:
    peer = server.client()
    yield peer
    peer.close()


@every_algorithm
def test_the_wire_gives_the_same_arrays_as_a_call(client: Peer, spec: AlgorithmSpec) -> None:
    inputs = tiny_inputs(spec)
    result = client.result(client.submit(spec.name, inputs, **tiny_params(spec)))
    assert isinstance(result, Result)
    many = {port.name for port in spec.outputs if port.many}
    arrays = {name: given if name in many else given[0] for name, given in result.arrays.items()}
    assert bytes_of(arrays) == bytes_of(run(spec, inputs))
    assert result.recipe["digest"] == spec.digest


def input_file(folder: Path, name: str, given: tuple[Array, ...]) -> Path:
    """A port's arrays as the command line takes them."""
    kind = given[0].kind.name
    if kind == "PHOTOGRAPH":
        (folder / name).mkdir()
        for array in given:
            (folder / name / array.attributes["name"]).write_bytes(array.values.tobytes())
        return folder / name
    if kind == "CAMERAS":
        from shared.cameras import from_array, write

        write(from_array(given[0]), folder / f"{name}.json")
        return folder / f"{name}.json"
    if kind == "MESH":
        from backend.files.meshes.writing import write as write_mesh

        write_mesh(given[0], folder / f"{name}.obj")
        return folder / f"{name}.obj"
    np.save(folder / f"{name}.npy", given[0].values)
    return folder / f"{name}.npy"


@every_algorithm
def test_the_command_line_gives_the_same_arrays_as_a_call(spec: AlgorithmSpec, tmp_path: Path) -> None:
    inputs = tiny_inputs(spec)
    command = [
        sys.executable,
        "-m",
        "backend",
        "run",
        spec.name,
        "--out",
        str(tmp_path / "out"),
        "--format",
        "npy",
        "--device",
        "cpu",
    ]
    for name, given in inputs.items():
        command += [f"--{name.replace('_', '-')}", str(input_file(tmp_path, name, given))]
        if "pixel_size_m" in given[0].attributes and "--pixel-size" not in command:
            command += ["--pixel-size", str(given[0].pixel_size_m)]
    for name, value in tiny_params(spec).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for name, array in parts_of(run(spec, inputs)).items():
        if array.kind.name == "MESH":
            continue  # files number a mesh's corners: tests/backend/files/test_meshes.py
        if array.kind.name == "REPORT":
            written = json.loads((tmp_path / "out" / f"{name}.json").read_text(encoding="utf-8"))
            assert written == json.loads(array.values.tobytes())
            continue
        written = np.load(tmp_path / "out" / f"{name.split('.')[0]}.npy", allow_pickle=False)
        np.testing.assert_array_equal(written, array.values)
        assert written.dtype == array.values.dtype


@every_algorithm
@pytest.mark.parametrize("cancel_point", ["after submit", "after start", "half-way", "half-way, keep"])
def test_cancel_then_a_second_job_succeeds(client: Peer, spec: AlgorithmSpec, cancel_point: str) -> None:
    """The job may be quicker than the cancel: then it has succeeded, and that is as good.

    Where a result is to be kept, an engine that asks job.finish_early succeeds; one that does not ask is cancelled.
    """
    inputs = tiny_inputs(spec, side=256)
    job = client.submit(spec.name, inputs)
    if cancel_point != "after submit":
        share = 0.5 if "half-way" in cancel_point else 0.0
        wait_for(
            lambda: (
                (s := client.status(job))["state"] not in ("queued",)
                and (s["done"] >= share * s["total"] or s["state"] != "running")
            )
        )
    client.ask(Cancel(job=job, keep="keep" in cancel_point))
    assert client.finished(job).state in ("cancelled", "succeeded")
    assert isinstance(client.result(client.submit(spec.name, tiny_inputs(spec), **tiny_params(spec))), Result)
