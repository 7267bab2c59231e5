"""Install Backend for real: broken off in the middle, resumed, self-tested, started, killed, removed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from blender_addon.install.child_process import is_alive
from blender_addon.install.installation import Installer, InstallProgress, _copy_sources, find_installation, payload_dir
from blender_addon.install.process import BackendProcess
from blender_addon.shared.endpoint import Endpoint, write_endpoint
from blender_addon.shared.errors import BackendUnavailable, InstallFailed


@pytest.fixture(autouse=True)
def own_installation_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RELIEVO_PYTHON", raising=False)


def wait_until(condition, timeout_s: float):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing happened within {timeout_s} s")


def finish(installer: Installer, timeout_s: float = 600.0) -> InstallProgress:
    return wait_until(lambda: installer.poll() if installer.poll().done else None, timeout_s)


def test_install_broken_off_resumed_started_killed_and_removed(tmp_path: Path):
    installation = find_installation(tmp_path)
    assert installation.state == "missing"

    first = Installer(tmp_path, variant="cpu")
    first.start()
    wait_until(
        lambda: first.poll().stage.startswith(("Installing", "Testing")), 300
    )  # a stage may be over before it is seen
    first.cancel()
    assert first.poll().error is not None
    assert first.poll().error.code == "cancelled"
    assert installation.state == "incomplete"
    with pytest.raises(BackendUnavailable, match="was interrupted"):
        BackendProcess(installation, tmp_path / "state").start()

    # compiled kernels are carried over as from an installation before; from the zip in Blender they are compiled
    shutil.copytree(payload_dir() / "backend/ops", installation.source / "backend/ops")
    second = Installer(tmp_path, variant="cpu")
    second.start()
    done = finish(second)
    assert done.error is None, done.error
    assert done.selftest is not None
    assert done.selftest["seconds"] < 60
    assert installation.state == "ready"
    assert installation.variant == "cpu"

    backend = BackendProcess(installation, tmp_path / "state")
    backend.start()
    wait_until(lambda: backend.poll() == "running", 60)
    other = BackendProcess(installation, tmp_path / "state")  # a second Blender: shares it, starts none
    other.start()
    assert other.poll() == "running"
    assert oct(backend.endpoint_path.stat().st_mode & 0o777) == "0o600"

    pid = backend._running_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: backend.poll() == "crashed", 10)
    assert "status -9" in str(backend.error)

    backend.start()
    wait_until(lambda: backend.poll() == "running", 60)
    backend.stop()
    wait_until(lambda: backend.poll() == "stopped", 10)

    second.remove()
    assert installation.state == "missing"
    assert not installation.root.exists()
    assert (tmp_path / "state").exists()  # results are not the installation's to delete


def test_installer_killed_from_outside_says_so(tmp_path: Path):
    installer = Installer(tmp_path, variant="cpu")
    installer.start()
    assert installer._process is not None
    os.killpg(installer._process.pid, signal.SIGKILL)
    done = finish(installer, 20)
    assert isinstance(done.error, InstallFailed)
    assert "continue" in done.error.hint


def test_empty_folder_of_wheels_is_named(tmp_path: Path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    installer = Installer(tmp_path, variant="cpu", wheels=wheels)
    installer.start()
    done = finish(installer, 120)
    assert done.error is not None
    assert "not available" in done.error.message
    assert "folder of wheels" in done.error.hint


def test_folder_that_may_not_be_written(tmp_path: Path):
    (tmp_path / "backend").write_text("a file where the folder should be")
    with pytest.raises(InstallFailed, match="cannot be written to"):
        Installer(tmp_path).start()


def test_nothing_installed_is_said(tmp_path: Path):
    backend = BackendProcess(find_installation(tmp_path), tmp_path / "state")
    assert backend.poll() == "stopped"
    with pytest.raises(BackendUnavailable, match="No backend is installed"):
        backend.start()


def test_stale_connection_file_is_no_running_backend(tmp_path: Path):
    backend = BackendProcess(find_installation(tmp_path), tmp_path)
    write_endpoint(backend.endpoint_path, Endpoint(address="tcp://127.0.0.1:9", token="0" * 64, pid=2**22 - 3))
    assert backend.poll() == "stopped"


def test_environment_that_the_user_made_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELIEVO_PYTHON", os.environ.get("VIRTUAL_ENV", "/usr") + "/bin/python3")
    installer = Installer(tmp_path)
    with pytest.raises(InstallFailed, match="not managed"):
        installer.start()
    with pytest.raises(InstallFailed, match="not managed"):
        installer.remove()


def test_is_alive_knows_zombies():
    assert is_alive(os.getpid())
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    wait_until(lambda: not is_alive(pid), 5)  # ended, but not yet waited for
    os.waitpid(pid, 0)


def sources(folder: Path, kernel: str) -> Path:
    """The least that a payload has."""
    for name, text in {
        "backend/ops/terrain/noise_cpu.py": kernel,
        "backend/cli.py": "",
        "shared/arrays.py": "",
        "pyproject.toml": "",
        "locks/backend-cpu.lock": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(("updated", "kept"), [("a = 1", True), ("a = 2", False)])
def test_an_update_keeps_what_is_compiled_only_while_every_kernel_is_the_same(tmp_path: Path, updated: str, kept: bool):
    target = tmp_path / "source"
    _copy_sources(sources(tmp_path / "first", "a = 1"), target)
    kernel = target / "backend/ops/terrain/noise_cpu.py"
    compiled = kernel.parent / "__pycache__/noise_cpu.octave-3.py311.1.nbc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"machine code")
    os.utime(kernel, (1e9, 1e9))

    payload = sources(tmp_path / "second", updated)
    (payload / "backend/cli.py").write_text("changed")
    _copy_sources(payload, target)

    assert kernel.read_text() == updated
    assert (target / "backend/cli.py").read_text() == "changed"
    assert compiled.exists() == kept
    assert (kernel.stat().st_mtime == 1e9) == kept  # numba compiles again where a source has another time
