"""What version 0.1 has left on disk still works: the job store of a server that was killed, and recipes that repeat to the byte.

tests/data/version_0_1/make.py says how the files were made; what they hold is never to be made again by a later version.
tests/blender/test_older_files.py has the same of Blender's files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import prepared_python
from tests.support.backend_process import ROOT, BackendProcess, Fetch, Message, Peer, Query, refusal, wait_for
from tests.support.older_version import VERSION_0_1, assert_same, is_the_same_processor, read_json

COMMAND_LINE = [sys.executable, "-m", "backend"]
RUNS = ("noise", "morphology", "landform", "hydrology", "scan_texture", "chain")
SINCE = {"rivers", "water", "water_level"}  # outputs that have come since: an old job or recipe gives them, too
FOR_EVER_S = 1e12  # results are kept for days, and these are older

# The job store -------------------------------------------------------------------------------------------------------

STORE = read_json("store.json")
JOBS: dict[str, dict[str, Any]] = STORE["jobs"]  # by the state that each was in when the server was killed


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder: a server changes it."""
    return Path(shutil.copytree(VERSION_0_1 / "store", tmp_path_factory.mktemp("older") / "state"))


@pytest.fixture(scope="module")
def server(state_dir: Path) -> Iterator[BackendProcess]:
    with BackendProcess(state_dir, devices=["cpu"], max_age_s=FOR_EVER_S) as process:
        yield process


@pytest.fixture
def owner(server: BackendProcess) -> Iterator[Peer]:
    """The client whose jobs they are, come back."""
    client = server.client(STORE["owner"])
    yield client
    client.close()


def fetched(client: Peer, state: str) -> Message:
    return client.ask(Fetch(job=JOBS[state]["job"]))


def values_of(result: Any) -> dict[str, np.ndarray]:
    return {port: given[0].values for port, given in result.arrays.items()}


def test_the_store_holds_a_job_in_each_state() -> None:
    """As it lies in the repository, before a server has seen it."""
    for state, expected in JOBS.items():
        written = json.loads((VERSION_0_1 / "store/jobs" / expected["job"] / "job.json").read_text(encoding="utf-8"))
        assert (written["state"], written["algorithm"]) == (state, expected["algorithm"])
    assert sorted(JOBS) == ["cancelled", "failed", "queued", "running", "succeeded"]


def test_every_job_is_known_to_its_owner_alone(server: BackendProcess, owner: Peer) -> None:
    expected: Any = owner.ask(Query())
    assert {job["job"]: job["algorithm"] for job in expected.jobs} == {
        job["job"]: job["algorithm"] for job in JOBS.values()
    }
    stranger = server.client()
    assert stranger.ask(Query()).jobs == []  # type: ignore[attr-defined]
    assert refusal(stranger.ask(Fetch(job=JOBS["succeeded"]["job"]))).code == "access_denied"
    stranger.close()


def test_a_result_that_nobody_had_fetched_is_there_to_the_byte(owner: Peer) -> None:
    folder = VERSION_0_1 / "store/jobs" / JOBS["succeeded"]["job"] / "outputs"
    written = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    (entry,) = written["arrays"]
    result: Any = fetched(owner, "succeeded")
    (height,) = result.arrays[entry["port"]]
    assert height.values.tobytes() == (folder / entry["file"]).read_bytes()
    assert height.values.shape == tuple(entry["shape"])
    assert height.attributes["pixel_size_m"] == entry["attributes"]["pixel_size_m"] == 30.0
    assert result.recipe == written["recipe"]
    assert result.recipe["params"]["fractal"] == "ridged"


def test_how_a_job_had_ended_is_still_told(owner: Peer) -> None:
    failed, cancelled = owner.status(JOBS["failed"]["job"]), owner.status(JOBS["cancelled"]["job"])
    assert (failed["state"], failed["error"]) == ("failed", JOBS["failed"]["error"])
    failure = refusal(fetched(owner, "failed"))
    assert (failure.code, failure.message) == (failed["error"]["code"], failed["error"]["message"])
    assert (cancelled["state"], cancelled["error"]) == ("cancelled", None)
    assert "cancelled" in refusal(fetched(owner, "cancelled")).message


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_job_that_was_accepted_is_computed(owner: Peer, state: str) -> None:
    wait_for(lambda: owner.status(JOBS[state]["job"])["state"] not in ("queued", "running"))
    status = owner.status(JOBS[state]["job"])
    assert status["state"] == "succeeded", status
    result: Any = fetched(owner, state)
    wanted = {path.stem: np.load(path) for path in (VERSION_0_1 / "store_made" / state).glob("*.npy")}
    found = values_of(result)
    assert found.keys() - SINCE == wanted.keys() >= {"height"}
    for port, values in wanted.items():
        assert_same(found[port], values, f"{state}: {port}")


# Recipes -------------------------------------------------------------------------------------------------------------


def repeat(name: str, folder: Path, *more: object) -> tuple[Path, str]:
    """The recipe of a run repeated in a copy of its folder; the results' folder and what was said."""
    here = Path(shutil.copytree(VERSION_0_1 / "runs" / name, folder / "moved"))
    shutil.rmtree(here / "made")
    words = ["run", "--recipe", here / "recipe.json", "--out", folder / "out", "--device", "cpu", "--threads", 2, *more]
    done = prepared_python.run([*words, "--quiet"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stderr


@pytest.fixture(scope="module", params=RUNS)
def repeated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """The name of a run, the folder that its repeat has filled, and what was said meanwhile."""
    return (request.param, *repeat(request.param, tmp_path_factory.mktemp(request.param)))


def test_a_recipe_repeats(repeated: tuple[str, Path, str]) -> None:
    """Its inputs are found beside it, for the folder that it names is on another machine."""
    name, out, said = repeated
    made = VERSION_0_1 / "runs" / name / "made"
    written = {path.name for path in out.iterdir() if path.stem not in SINCE}
    assert written == {*(path.name for path in made.iterdir()), "recipe.json"}
    if is_the_same_processor():
        # one recipe has a height range beside a map of metres, which had no effect in version 0.1 either; that is said now
        more = [line for line in said.splitlines() if not line.endswith("--height-range is not applied.")]
        assert more == [], "nothing that would give another result"
    for path in made.iterdir():
        if path.suffix == ".npy":
            assert_same(np.load(out / path.name), np.load(path), f"{name}: {path.name}")
        if is_the_same_processor() or path.suffix == ".obj":
            assert (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_repeat_writes_the_recipe_on(repeated: tuple[str, Path, str]) -> None:
    name, out, _ = repeated
    before = json.loads((VERSION_0_1 / "runs" / name / "recipe.json").read_text(encoding="utf-8"))
    after = json.loads((out / "recipe.json").read_text(encoding="utf-8"))
    assert after["algorithm"] == before["algorithm"]
    assert before["params"].items() <= after["params"].items(), "and whatever has come since has its default"
    if name == "chain" and not is_the_same_processor():
        return  # its input is computed, and on another processor its last digit is another
    digests = {port: [item["sha256"] for item in items] for port, items in before["inputs"].items()}
    assert {port: [item["sha256"] for item in items] for port, items in after["inputs"].items()} == digests


def test_another_seed_is_told_apart(tmp_path: Path) -> None:
    """As near as the tests above ask for on other processors, only the same terrain comes."""
    out, _ = repeat("morphology", tmp_path, "--seed", 4)
    found, wanted = np.load(out / "height.npy"), np.load(VERSION_0_1 / "runs/morphology/made/height.npy")
    with pytest.raises(AssertionError, match="apart on the average"):
        assert_same(found, wanted, "another seed", device="elsewhere")


def test_an_input_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    here = Path(shutil.copytree(VERSION_0_1 / "runs/morphology", tmp_path / "moved"))
    layout = np.load(here / "layout.npy")
    layout[0, 0] += 1.0
    np.save(here / "layout.npy", layout)
    done = subprocess.run(
        [*COMMAND_LINE, "run", "--recipe", str(here), "--out", str(tmp_path / "out"), "--quiet"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "has changed since the recipe was written" in done.stderr
