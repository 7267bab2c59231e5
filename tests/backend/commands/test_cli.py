"""The command line as a user meets it: real processes, real files, exit codes, sentences."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from backend.cli import COMMANDS, UsageError
from backend.commands import flags, recipe_files, run, tasks
from backend.files import exemplars, rasters
from backend.runtime.compute import Computed
from shared.arrays import height_map
from shared.catalog import ALGORITHMS
from shared.errors import InvalidParameter
from tests.support import prepared_python
from tests.support.probe_algorithms import ProbeParams

REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRON = {
    **os.environ,
    "RELIEVO_EXTRA_ALGORITHMS": "tests.support.probe_algorithms",
    "PYTHONPATH": str(REPOSITORY),
    "COLUMNS": "100",
}
HEAVY = ("torch", "numba", "rasterio", "zmq", "scipy", "OpenEXR", "rich")


def relievo(*words: object, cwd: Path = REPOSITORY, **environ: str) -> subprocess.CompletedProcess[str]:
    return prepared_python.run(words, cwd=cwd, env=ENVIRON | environ)


def refused(*words: object, code: int = 2, **options) -> str:
    """What stderr says of words that must be refused: one sentence and a hint, no traceback."""
    done = relievo(*words, **options)
    assert done.returncode == code, done.stderr
    said = [
        line for line in done.stderr.strip().splitlines() if not line.startswith("Probe: ")
    ]  # the progress of a run
    assert said[0].startswith("relievo: "), done.stderr
    assert len(said) <= 2, done.stderr  # and so no traceback
    return "\n".join(said)


@pytest.fixture
def height_file(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:40, 0:50]
    path = tmp_path / "in.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=40,
        width=50,
        count=1,
        dtype="float32",
        crs="EPSG:32632",
        transform=Affine(20, 0, 4e5, 0, -20, 5e6),
    ) as file:
        file.write((500 + 30 * np.sin(x / 5) + 20 * np.cos(y / 4)).astype(np.float32), 1)
    return path


# Help ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*COMMANDS, "run probe"])
def test_help_reads_well_and_imports_nothing_heavy(command):
    code = (
        "import sys\nfrom backend.cli import main\nsys.argv = ['x']\n"
        f"try:\n    main({[*command.split(), '--help']})\nexcept SystemExit:\n    pass\n"
        f"heavy = [name for name in {HEAVY} if name in sys.modules]\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: relievo.py" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110


def test_overview_names_every_command():
    done = relievo("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert relievo().returncode == 2


@pytest.mark.parametrize("spec", ALGORITHMS, ids=lambda spec: spec.name)
def test_every_parameter_and_port_has_a_flag(spec):
    parser = run.parser(spec)
    text = parser.format_help()
    for item in (*spec.inputs, *spec.parameters):
        assert flags.flag(item.name) in text
    for preset in spec.presets:
        assert preset.name in text
    for parameter in spec.parameters:
        value = "no" if parameter.type == "bool" else str(parameter.default)
        words = (
            [f"--no-{flags.flag(parameter.name)[2:]}"] if value == "no" else [f"{flags.flag(parameter.name)}={value}"]
        )
        given = flags.given(parser.parse_args(words), flags.PARAM)
        assert given == {parameter.name: False if value == "no" else parameter.default}


# Wrong usage ---------------------------------------------------------------------------------------------------------


def test_mistyped_words_get_a_suggestion(height_file):
    assert "Did you mean 'doctor'?" in refused("docter")
    assert "Did you mean 'probe'?" in refused("run", "prob")
    assert "Did you mean --noise?" in refused("run", "probe", "--nois", "1")
    assert "must be one of done, error" in refused("run", "probe", "--ending", "don")
    assert "Did you mean" in refused("run", "probe", "--height", height_file.with_name("im.tif"))
    assert "Unexpected argument 'more'" in refused("run", "probe", "more")


def test_values_out_of_bounds_say_the_bound():
    assert "at most 100.0 m" in refused("run", "probe", "--noise", "101")
    assert "must be a number" in refused("run", "probe", "--noise", "abc")
    assert "must be a whole number" in refused("run", "probe", "--steps", "1.5")
    assert "must be npy, exr, tif, png16" in refused("run", "probe", "--format", "bmp")
    assert "must be 1 or more" in refused("run", "probe", "--threads", "0")
    assert "This machine has no device 'cuda:7'" in refused("run", "probe", "--device", "cuda:7")


def test_bad_input_files(height_file, tmp_path):
    assert "does not exist" in refused("run", "probe", "--height", tmp_path / "no.tif", "--out", tmp_path / "o")
    height_file.write_bytes(height_file.read_bytes()[:900])
    assert "cut short" in refused("run", "probe", "--height", height_file, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


# run -----------------------------------------------------------------------------------------------------------------


def test_run_writes_every_output_in_every_format(height_file, tmp_path):
    out = tmp_path / "out"
    done = relievo(
        "run",
        "probe",
        "--height",
        height_file,
        "--noise",
        "3",
        "--seed",
        "7",
        "--out",
        out,
        "--format",
        "npy",
        "exr,tif",
        "png16",
    )
    assert done.returncode == 0, done.stderr
    names = ["height.npy", "height.exr", "height.tif", "height.png", "recipe.json"]
    assert done.stdout.split() == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    values = np.load(out / "height.npy")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(rasters.read_height(out / "height.exr").values, values)
    with rasterio.open(out / "height.tif") as file, rasterio.open(height_file) as given:
        np.testing.assert_array_equal(file.read(1), values)
        assert (file.crs, file.transform) == (given.crs, given.transform)


def test_recipe_repeats_to_the_byte(height_file, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    words = [
        "--height",
        height_file,
        "--extra",
        height_file,
        height_file,
        "--noise",
        "3",
        "--seed",
        "7",
        "--format",
        "npy",
        "tif",
        "exr",
        "png16",
    ]
    assert relievo("run", "probe", *words, "--out", first).returncode == 0
    assert relievo("run", "--recipe", first / "recipe.json", "--out", second).returncode == 0
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_recipe_refuses_a_changed_file_and_says_what_is_overridden(height_file, tmp_path):
    out = tmp_path / "out"
    assert relievo("run", "probe", "--height", height_file, "--noise", "3", "--out", out).returncode == 0
    done = relievo("run", "--recipe", out, "--noise", "4", "--out", tmp_path / "o2")
    assert done.returncode == 0
    assert "noise is 4.0 in this run; the recipe has 3.0" in done.stderr
    before = (out / "height.npy").read_bytes()
    with rasterio.open(height_file, "r+") as file:
        file.write(file.read(1) + 1, 1)
    assert "has changed since the recipe was written" in refused("run", "--recipe", out, "--out", out)
    assert (out / "height.npy").read_bytes() == before
    taken = relievo("run", "--recipe", out, "--height", height_file, "--out", tmp_path / "o3")
    assert taken.returncode == 0
    assert "overrides the recipe" in taken.stderr
    height_file.unlink()
    assert "does not exist" in refused("run", "--recipe", out, "--out", out)


def test_recipe_finds_a_folder_that_has_moved(height_file, tmp_path):
    out = tmp_path / "out"
    assert relievo("run", "probe", "--height", height_file, "--out", out).returncode == 0
    moved = tmp_path / "moved"
    out.rename(moved)
    height_file.rename(moved / height_file.name)
    assert relievo("run", "--recipe", moved / "recipe.json", "--out", tmp_path / "again").returncode == 0


def test_a_recipe_of_recipes_repeats_the_whole_chain(height_file, tmp_path):
    first, second, again = (tmp_path / name for name in ("first", "second", "again"))
    assert (
        relievo("run", "probe", "--height", height_file, "--noise", "2", "--seed", "1", "--out", first).returncode == 0
    )
    assert (
        relievo(
            "run", "probe", "--height", first / "height.tif", "--noise", "2", "--seed", "2", "--out", second
        ).returncode
        == 0
    )
    steps = [json.loads((folder / "recipe.json").read_text()) for folder in (first, second)]
    outputs = [{"height": rasters.read_height(folder / "height.tif").sha256} for folder in (first, second)]
    del steps[1]["inputs"]["height"][0]["file"]
    (tmp_path / "chain.json").write_text(json.dumps(recipe_files.linked(steps, outputs)))
    done = relievo("run", "--recipe", tmp_path / "chain.json", "--out", again)
    assert done.returncode == 0, done.stderr
    assert "other bytes" not in done.stderr
    assert (again / "height.npy").read_bytes() == (second / "height.npy").read_bytes()


def test_a_shipped_exemplar_is_noted_by_its_name_and_found_from_an_old_path(tmp_path):
    out = tmp_path / "out"
    assert relievo("run", "probe", "--height", "canyon", "--out", out).returncode == 0
    recipe = json.loads((out / "recipe.json").read_text())
    (item,) = recipe["inputs"]["height"]
    assert item["exemplar"] == "canyon"
    assert str(REPOSITORY) not in json.dumps(recipe)
    old = {key: value for key, value in item.items() if key != "exemplar"}
    old["file"] = {**item["file"], "path": "/home/somebody/relievo/backend/exemplars/canyon.tif"}
    (tmp_path / "old.json").write_text(json.dumps({**recipe, "inputs": {"height": [old]}}))
    for name, recipe_file in (("new", out / "recipe.json"), ("old", tmp_path / "old.json")):
        done = relievo("run", "--recipe", recipe_file, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name / "height.npy").read_bytes() == (out / "height.npy").read_bytes()


def test_a_recipe_with_an_exemplar_of_the_first_edition_finds_it(tmp_path):
    out, first = tmp_path / "out", exemplars.path("canyon", 1)
    assert relievo("run", "probe", "--height", first, "--out", out).returncode == 0
    recipe = json.loads((out / "recipe.json").read_text())
    (item,) = recipe["inputs"]["height"]
    assert (item["exemplar"], item["file"]["path"]) == ("canyon", "canyon.tif")
    without_file = {key: value for key, value in item.items() if key != "file"}  # as Blender notes it
    for number, noted in enumerate((item, without_file)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({**recipe, "inputs": {"height": [noted]}}))
        done = relievo("run", "--recipe", path, "--out", tmp_path / str(number))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / str(number) / "height.npy").read_bytes() == (out / "height.npy").read_bytes()


@pytest.mark.parametrize(("text", "words"), [
    ("{", "not a Relievo recipe"), ("[]", "has no algorithm"), ('{"algorithm": "probe", "params": {}, "format": 99}', "format 99"),
    ('{"algorithm": "probe", "params": {"nois": 1}, "format": 1}', "Unknown parameter 'nois'"),
    ('{"algorithm": "gone", "params": {}, "format": 1}', "no algorithm 'gone'"),
])  # fmt: skip
def test_broken_recipes(tmp_path, text, words):
    (tmp_path / "recipe.json").write_text(text)
    assert words in refused("run", "--recipe", tmp_path / "recipe.json")


def test_dry_run_resolves_and_computes_nothing(tmp_path):
    done = relievo("run", "probe", "--noise", "2", "--out", tmp_path / "o", "--dry-run")
    plan = json.loads(done.stdout)
    assert plan["params"] == asdict(ProbeParams(noise=2.0))
    assert not (tmp_path / "o").exists()


def test_pixel_size_for_files_that_carry_none(tmp_path):
    np.save(tmp_path / "in.npy", np.ones((30, 30), np.float32))
    assert "--pixel-size" in refused("run", "probe", "--height", tmp_path / "in.npy", "--out", tmp_path / "o")
    done = relievo("run", "probe", "--height", tmp_path / "in.npy", "--pixel-size", "4", "--out", tmp_path / "o")
    assert done.returncode == 0
    assert rasters.read_height(tmp_path / "o" / "height.tif").pixel_size_m == 4.0


# Failing -------------------------------------------------------------------------------------------------------------


def test_a_failing_algorithm_leaves_the_old_results(height_file, tmp_path):
    out = tmp_path / "out"
    assert relievo("run", "probe", "--height", height_file, "--out", out).returncode == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "This is a bug" in refused(
        "run", "probe", "--height", height_file, "--ending", "error", "--out", out, code=1
    ).replace("\n", " ")
    assert "ran out of memory" in refused(
        "run", "probe", "--height", height_file, "--ending", "memory", "--out", out, code=1
    )
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_full_disk_leaves_the_old_results(tmp_path):
    """The kernel refuses bytes beyond a file size limit as it does on a full disk."""
    rasters.write(height_map(np.random.default_rng(0).normal(size=(256, 256)), 10.0), tmp_path / "in.tif")
    out = tmp_path / "out"
    words = [sys.executable, "-m", "backend", "run", "probe", "--height", str(tmp_path / "in.tif"), "--out", str(out)]
    assert subprocess.run(words, cwd=REPOSITORY, env=ENVIRON, capture_output=True).returncode == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    done = subprocess.run(
        [*words, "--seed", "1"], cwd=REPOSITORY, env=ENVIRON, capture_output=True, text=True, preexec_fn=limit
    )
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_place_that_cannot_be_written_is_told_before_computing(tmp_path):
    (tmp_path / "file").write_text("x")
    assert "cannot be written" in refused("run", "probe", "--step-s", "60", "--out", tmp_path / "file" / "out")


def test_ctrl_c_ends_at_once_and_leaves_nothing(height_file, tmp_path):
    out = tmp_path / "out"
    words = ["run", "probe", "--height", height_file, "--steps", "2000", "--step-s", "0.05", "--out", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", *map(str, words)],
        cwd=REPOSITORY,
        env=ENVIRON,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "step" not in (line := process.stderr.readline()):  # type: ignore[union-attr]
        assert time.monotonic() < deadline, line
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert "Interrupted" in process.stderr.read()  # type: ignore[union-attr]
    assert not out.exists()


# The other commands --------------------------------------------------------------------------------------------------


def test_list_as_text_and_json():
    text = relievo("list").stdout
    data = json.loads(relievo("list", "--json").stdout)
    assert {entry["name"] for entry in data["algorithms"]} == {spec.name for spec in ALGORITHMS} | {"probe"}
    for entry in data["algorithms"]:
        assert entry["name"] in text
        assert entry["summary"] in text
    assert "noise" in relievo("list", "probe").stdout
    assert "Did you mean 'probe'?" in refused("list", "prbe")


def test_bench_and_train_know_their_names():
    found = tasks.find(REPOSITORY / "benchmarks")
    listed = relievo("bench", "list").stdout
    assert all(name in listed and text for name, text in found.items())
    assert "There is no bench 'nonsense'" in refused("bench", "nonsense")
    assert "There is no model 'nonsense'" in refused("train", "nonsense")


def test_doctor_reports_without_names(tmp_path):
    done = relievo("doctor", "--report", XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("Python", "Device", "Job", "Disk", "Port", "Backend"):
        assert f"{name}: " in done.stdout
    assert os.uname().nodename not in done.stdout or len(os.uname().nodename) < 4


def test_doctor_fails_on_what_is_broken(tmp_path):
    state = tmp_path / "relievo" / "state"
    state.mkdir(parents=True)
    (state / "endpoint.json").write_text("{")
    done = relievo("doctor", XDG_DATA_HOME=str(tmp_path))
    assert "not the connection file" in done.stdout
    done = relievo("doctor", XDG_DATA_HOME=str(tmp_path), RELIEVO_EXTRA_ALGORITHMS="no_such_module")
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def test_output_that_nobody_reads_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m backend list --json | head -n 1",
        shell=True,
        cwd=REPOSITORY,
        env=ENVIRON,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "{"
    assert "Traceback" not in done.stderr


# What the user says of files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "word", "meant"), [
    ("noise", "--resolution", "--size"), ("noise", "--rows", "--height"), ("noise", "--dimensions", "--size"),
    ("hydrology", "--resolution", "--pixel-size"), ("hydrology", "--dem", "--height"), ("hydrology", "--band", "--layer"),
    ("hydrology", "--fill-holes", "--fill-nodata"), ("hydrology", "--nodata-value", "--nodata"), ("hydrology", "--gpu", "--device"),
    ("hydrology", "--units", "--height-unit"), ("hydrology", "--iterations", "--steps"), ("hydrology", "--output-dir", "--out"),
    ("scan_texture", "--photos", "--images"), ("scan_texture", "--model", "--mesh"), ("scan_texture", "--sead", "--seed"),
    ("scan_texture", "--texture-size", "--size"), ("noise", "--zzzz", ""), ("noise", "--dem", ""),
])  # fmt: skip
def test_an_unknown_option_suggests_the_nearest_in_meaning(engine, word, meant):
    parser = run.parser(next(spec for spec in ALGORITHMS if spec.name == engine))
    with pytest.raises(UsageError) as caught:
        parser.parse_args([word, "1"])
    assert caught.value.hint == (f"Did you mean {meant}?" if meant else f"See relievo.py run {engine} --help.")


def test_sizes_are_one_number_or_two():
    noise = next(spec for spec in ALGORITHMS if spec.name == "noise")

    def size(*words: str) -> tuple[int, int]:
        options = run.parser(noise).parse_args(words)
        given = {**flags.sides(options, noise.parameters), **flags.given(options, flags.PARAM)}
        return given["width_px"], given["height_px"]

    assert size("--size", "512") == (512, 512)
    assert size("--size", "1024x512") == (1024, 512)
    assert size("--size=1024X512", "--height", "256") == (1024, 256)
    scan = next(spec for spec in ALGORITHMS if spec.name == "scan_texture")
    options = run.parser(scan).parse_args(["--size", "2048x2048"])
    assert flags.given(options, flags.PARAM)["size"] == 2048
    with pytest.raises(InvalidParameter, match=r"two different sides.*It is square: --size 1024"):
        run.parser(scan).parse_args(["--size", "1024x512"])
    with pytest.raises(InvalidParameter, match=r"--size 1024x512 sets both"):
        size("--width", "1024x512")
    with pytest.raises(InvalidParameter, match=r"one number, such as 512, or width x height"):
        size("--size", "wide")


def test_what_is_said_of_a_file_is_in_the_recipe_and_repeats(tmp_path):
    values = (500 + 90 * np.random.default_rng(1).random((40, 50))).astype("<f4")
    (values / 0.3048).tofile(tmp_path / "in.raw")
    words = ("--raw-size", "50x40", "--height-unit", "ft", "--pixel-size", "4", "--format", "npy")
    done = relievo("run", "probe", "--height", tmp_path / "in.raw", *words, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    reading = json.loads((tmp_path / "o" / "recipe.json").read_text())["reading"]
    assert reading["options"] == {"height_unit": "ft", "raw_size": [50, 40]}
    again = relievo("run", "--recipe", tmp_path / "o" / "recipe.json", "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    first, second = (np.load(tmp_path / name / "height.npy") for name in ("o", "again"))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, values, atol=1.0)


def test_the_pixel_size_given_wins_over_the_files_and_a_warning_says_so(height_file, tmp_path):
    done = relievo("run", "probe", "--height", height_file, "--pixel-size", "4", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    assert "has its own pixel size, 20 m per pixel; --pixel-size 4 overrides it" in done.stderr
    assert rasters.read_height(tmp_path / "o" / "height.tif").pixel_size_m == 4.0
    recipe = json.loads((tmp_path / "o" / "recipe.json").read_text())
    del recipe["reading"]["pixel_size_wins"]  # as recipes were written when a file's own size came first
    (tmp_path / "old.json").write_text(json.dumps(recipe))
    done = relievo("run", "--recipe", tmp_path / "old.json", "--out", tmp_path / "old")
    assert rasters.read_height(tmp_path / "old" / "height.tif").pixel_size_m == 20.0, done.stderr


def test_a_folder_in_place_of_a_map_is_refused(tmp_path):
    said = refused("run", "hydrology", "--height", tmp_path, "--out", tmp_path / "out")
    assert f"{tmp_path} is a folder; --height takes a file." in said


def test_the_last_line_says_where_it_ran_and_why_not_elsewhere() -> None:
    note = "cuda:0 has too little free memory; Noise runs on the CPU."
    fell_back = Computed(outputs={}, recipe={"device": "cpu", "device_note": note})
    assert run._end(ALGORITHMS[0], fell_back, 0.451) == f"{ALGORITHMS[0].label}: 0.45 s on cpu ({note[:-1]})"
    as_asked = Computed(outputs={}, recipe={"device": "cuda:0"})
    assert run._end(ALGORITHMS[0], as_asked, 62.0) == f"{ALGORITHMS[0].label}: 1 min 2 s on cuda:0"
