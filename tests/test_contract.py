"""What every algorithm owes to the command line, the server and Blender, whoever wrote it (architecture, section 7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backend as relievo_backend
from backend.commands.output_folder import stems
from backend.files.kinds import ENDINGS, Writing, file_kind, write
from backend.setup.small_inputs import small_inputs
from shared.algorithm import AlgorithmSpec, Port, check_inputs
from shared.arrays import CURVES, MESH, PHOTOGRAPH, REPORT, STROKES, TEXTURE_SET, Array, check
from shared.catalog import ALGORITHMS
from shared.catalog.extra import EXTRA_ALGORITHMS
from shared.messages import Cancel, Fetch, Result
from shared.params import Param, check_value, parse, to_json, with_role
from tests.support import prepared_python, toy_engines
from tests.support.backend_process import ROOT, BackendProcess, Peer, wait_for

SIDE = 64
TOYS = "tests.support.toy_engines"
SPECS = (*ALGORITHMS, *toy_engines.SPECS)  # a throw-away engine of each form of result owes the same
PARAMETERS = [(spec, parameter) for spec in SPECS for parameter in spec.parameters]
KEYWORDS_OF_RUN = {"algorithm", "preset", "device", "on_progress"}  # pixel_size_m means the same in both places

every_algorithm = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
every_parameter = pytest.mark.parametrize(("spec", "parameter"), PARAMETERS, ids=lambda value: value.name)


@pytest.fixture(scope="module", autouse=True)
def _with_toy_engines() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EXTRA_ALGORITHMS, TOYS)
        yield


def devices() -> list[str]:
    from backend.runtime.device import device_names

    return device_names()


def tiny_inputs(spec: AlgorithmSpec, side: int = SIDE) -> dict[str, tuple[Array, ...]]:
    """One array for every input that is needed; a scan gets photographs that belong to a mesh and cameras."""
    return small_inputs(spec, side)


def tiny_params(spec: AlgorithmSpec) -> dict[str, Any]:
    """Parameters under which a tiny input takes a moment: a smaller size and fewer steps, where there are such parameters."""
    small = {"size": SIDE, "count": 4}
    return {
        parameter.name: max(small[parameter.role], int(parameter.min or 0))
        for parameter in spec.parameters
        if parameter.role in small
    }


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
        assert is_title(part.label), part.label
        assert part.help[:1].isupper() or not part.help[:1].isalpha(), f"{part.name}: help is a sentence"
        assert not part.help.endswith("."), f"{part.name}: Blender ends tooltips without a full stop"
    for parameter in spec.parameters:
        for _, label in parameter.choices:
            assert is_title(label), label
    assert spec.outputs


def is_title(label: str) -> bool:
    """Title Case: every word is capitalised but for small ones inside. A name may begin as it likes (fBm)."""
    small = {"a", "an", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}
    words = label.replace("(", "").replace("-", " ").split()
    return bool(words) and all(word in small or any(map(str.isupper, word)) or not word[0].isalpha() for word in words)


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
        "import sys, numpy as np\n"
        "from tests.test_contract import SPECS, parts_of, run, tiny_inputs\n"
        "for spec in SPECS:\n"
        "    made = parts_of(run(spec, tiny_inputs(spec)))\n"
        "    np.savez(f'{sys.argv[1]}/{spec.name}.npz', **{name: array.values for name, array in made.items()})\n"
    )
    folders = {}
    for threads in ("1", "2"):
        folders[threads] = tmp_path_factory.mktemp(f"threads{threads}")
        counts = dict.fromkeys(("RELIEVO_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), threads)
        command = [sys.executable, "-c", code, str(folders[threads])]
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
    """A port's arrays as the command line takes them, in the exact format of their kind."""
    formats = file_kind(given[0].kind).formats
    return write_input(folder / (f"{name}{ENDINGS[formats[0]]}" if formats else name), given)


def write_input(path: Path, given: tuple[Array, ...]) -> Path:
    """Writes a port's arrays where they are to lie: photographs, and maps of a material where a folder is named, into one;
    everything else into one file."""
    if given[0].kind is PHOTOGRAPH:
        path.mkdir()
        for array in given:
            (path / array.attributes["name"]).write_bytes(array.values.tobytes())
        return path
    if given[0].kind is TEXTURE_SET and not path.suffix:
        path.mkdir()
        write(given[0], path / "map.png", Writing(format="png16"))
        return path
    format = next(name for name in file_kind(given[0].kind).formats if ENDINGS[name] == path.suffix)
    write(given[0], path, Writing(format=format))
    return path


@every_algorithm
def test_the_command_line_gives_the_same_arrays_as_a_call(spec: AlgorithmSpec, tmp_path: Path) -> None:
    inputs = tiny_inputs(spec)
    command = ["run", spec.name, "--out", str(tmp_path / "out"), "--device", "cpu"]
    command += ["--format", *dict.fromkeys(file_kind(port.kind).formats[0] for port in spec.outputs)]
    for name, given in inputs.items():
        command += [f"--{name.replace('_', '-')}", str(input_file(tmp_path, name, given))]
        if "pixel_size_m" in given[0].attributes and "--pixel-size" not in command:
            command += ["--pixel-size", str(given[0].pixel_size_m)]
    for name, value in tiny_params(spec).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    done = prepared_python.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    files: dict[str, Array] = {}
    for name, made in run(spec, inputs).items():
        arrays = made if isinstance(made, tuple) else (made,)
        files |= dict(zip(stems(name, arrays), arrays, strict=True))
    for stem, array in files.items():
        written = tmp_path / "out" / f"{stem}{ENDINGS[file_kind(array.kind).formats[0]]}"
        if array.kind is MESH:
            continue  # files number a mesh's corners: tests/backend/files/test_meshes.py
        if array.kind is REPORT:
            assert json.loads(written.read_text(encoding="utf-8")) == json.loads(array.values.tobytes())
            continue
        if array.kind is CURVES:
            features = json.loads(written.read_text(encoding="utf-8"))["features"]
            points = [point for feature in features for point in feature["geometry"]["coordinates"]]
            expected = array.values[:, :3] * (1, -1, 1) + (0, 1, 0)  # shares of the map, y up
            np.testing.assert_allclose(np.reshape(points, (-1, 3)), expected, atol=1e-6)
            continue
        stored = np.load(written, allow_pickle=False)
        if array.kind is TEXTURE_SET:
            stored = np.concatenate([stored[key] for key in stored.files], axis=2)
        elif array.kind is STROKES:
            stored = stored["strokes"]
        np.testing.assert_array_equal(stored, array.values)
        assert stored.dtype == array.values.dtype


@every_algorithm
@pytest.mark.parametrize("cancel_point", ["after submit", "after start", "under way"])
def test_cancel_then_a_second_job_succeeds(client: Peer, spec: AlgorithmSpec, cancel_point: str) -> None:
    """The job may be quicker than the cancel: then it has succeeded, and that is as good."""
    inputs = tiny_inputs(spec, side=256)
    job = client.submit(spec.name, inputs)
    if cancel_point != "after submit":
        wait_until_done(client, job, 0.1 if cancel_point == "under way" else 0.0)
    client.ask(Cancel(job=job))
    assert client.finished(job).state in ("cancelled", "succeeded")
    assert isinstance(client.result(client.submit(spec.name, tiny_inputs(spec), **tiny_params(spec))), Result)


def wait_until_done(client: Peer, job: str, share: float) -> None:
    """Until the job has done this share of its steps, or has ended. How many steps there are is 0 until it says so."""
    wait_for(
        lambda: (
            (status := client.status(job))["state"] != "queued"
            and (status["done"] >= share * max(status["total"], 1) or status["state"] != "running")
        )
    )


FINISH_EARLY = {"morphology": 0.001, "hydrology": 0.001, "scan_texture": 0.65, "texture": 0.001, "paint": 0.001}
"""Engines that hand back what they have when a person keeps it, and the share of the bar after which they have something, even
where compiling kernels takes half of the bar. One that stops doing so fails here, as does a new one that is not listed. The others
are too quick, or cannot: they are cancelled."""


@every_algorithm
def test_what_is_kept_half_way_is_a_result(client: Peer, spec: AlgorithmSpec) -> None:
    inputs = tiny_inputs(spec, side=256)
    long = {parameter.name: int(20 * parameter.default) for parameter in with_role(spec.parameters, "count")}
    job = client.submit(spec.name, inputs, **(long if spec.name in FINISH_EARLY else {}))
    wait_until_done(client, job, FINISH_EARLY.get(spec.name, 0.5))
    running = client.status(job)["state"] == "running"
    client.ask(Cancel(job=job, keep=True))
    ended = client.finished(job).state
    if spec.name in FINISH_EARLY:
        assert running, "it must still run when it is kept"
        assert ended == "succeeded", "what it had is the result"
        made = client.ask(Fetch(job=job))
        assert isinstance(made, Result)
        for port in spec.outputs:
            assert port.optional or made.arrays[port.name], port.name
    else:
        assert ended in ("cancelled", "succeeded")
        assert ended == "cancelled" or not asks_for_early_finish(spec), f"{spec.name} belongs into FINISH_EARLY"


def asks_for_early_finish(spec: AlgorithmSpec) -> bool:
    """Whether the engine reads job.finish_early when it runs."""
    from backend.runtime.compute import compute
    from backend.runtime.context import JobContext

    job = JobContext()
    compute(spec, parse(spec.params, tiny_params(spec)), tiny_inputs(spec), job)
    return job._heeds_finish_early
