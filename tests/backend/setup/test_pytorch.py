"""Which build of PyTorch is taken on Linux without an NVIDIA card, with small wheels in its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.setup import pytorch
from backend.setup.environment import Environment, read_marker
from backend.setup.installing import ensure
from shared.errors import InstallFailed
from tests.backend.setup.test_environment import small_disk, version_in
from tests.support.wheelhouse import make_wheel, pin, write_lock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the package index's own build is the CPU's")


@pytest.fixture
def environment(tmp_path: Path, locks: Path, wheels: Path) -> Environment:
    """Its lock wants torch 0.0.7+cpu; CUDA's lock wants 0.0.7 and a library beside it."""
    folder = tmp_path / "builds"
    first = pin(wheels / "relievo_first-2.4.0-py3-none-any.whl")
    cpu, cuda = (make_wheel(folder, "torch", version) for version in ("0.0.7+cpu", "0.0.7"))
    write_lock(locks, "backend-cpu", pin(cpu, "sys_platform == 'linux'"), first)
    write_lock(locks, "backend-cuda", pin(cuda), first, pin(make_wheel(wheels, "relievo_cuda", "13.0")))
    return Environment(root=tmp_path / "venv", locks=locks)


def offer(tmp_path: Path, wheels: Path, version: str) -> None:
    name = f"torch-{version}-py3-none-any.whl"
    (tmp_path / "builds" / name).rename(wheels / name)


def test_the_cpu_build_is_taken_from_an_index_that_has_it(environment, tmp_path, wheels, package_index):
    offer(tmp_path, wheels, "0.0.7+cpu")
    assert version_in(ensure(environment), "torch") == "0.0.7+cpu"
    assert version_in(environment.python, "relievo_cuda") == ""
    assert read_marker(environment.root)["locks"] == {"backend": "backend-cpu"}


@pytest.mark.parametrize("source", ["index", "folder"])
def test_without_a_cpu_build_the_size_is_told_before_the_download(environment, tmp_path, wheels, package_index, source):
    from dataclasses import replace

    offer(tmp_path, wheels, "0.0.7")
    environment = replace(environment, wheels=wheels if source == "folder" else None)
    said: list[tuple[str, str]] = []
    python = ensure(environment, lambda stage, fraction, line: said.append((stage, line)))
    assert version_in(python, "torch") == "0.0.7"
    assert version_in(python, "relievo_cuda") == "13.0"
    assert environment.state == "ready"
    assert read_marker(environment.root)["locks"] == {"backend": "backend-cuda"}
    announced = next(
        index
        for index, (stage, _) in enumerate(said)
        if "PyTorch with CUDA, because no CPU build is available" in stage
    )
    assert ("Downloading 3.0 GB" in said[announced][0]) is (source == "index")
    installed = next(index for index, (_, line) in enumerate(said) if "torch==0.0.7" in line)
    assert announced < installed


def test_a_damaged_cpu_build_is_no_reason_to_take_the_other(environment, tmp_path, wheels, package_index):
    make_wheel(wheels, "torch", "0.0.7+cpu", filler=10)
    offer(tmp_path, wheels, "0.0.7")
    with pytest.raises(InstallFailed, match=r"SHA-256 differs.*torch==0\.0\.7\+cpu"):
        ensure(environment)
    assert version_in(environment.python, "torch") == ""


def test_room_for_the_large_build_is_asked_for_before_its_download(
    environment, tmp_path, wheels, package_index, monkeypatch
):
    from dataclasses import replace

    monkeypatch.setitem(pytorch.NEEDED_BYTES, "cpu", 1 << 20)
    offer(tmp_path, wheels, "0.0.7")
    with small_disk(tmp_path / "small", "200m") as mount:
        with pytest.raises(InstallFailed, match=r"needs about 9\.0 GB; 0\.2 GB are free"):
            ensure(replace(environment, root=mount / "venv"))
        assert version_in(mount / "venv/bin/python", "torch") == ""
