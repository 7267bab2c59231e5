"""Fixtures for every test."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import build_addon


def _has_cuda_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


if not _has_cuda_driver():  # CUDA kernels run in numba's simulator; it is read when numba is imported
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")


importlib.import_module("backend")  # before torch: it says how torch's threads wait for one another, which is read once
build_addon.link()  # blender_addon/shared, so that the add-on's modules can be imported where they lie

from tests.support.backend_process import BackendProcess, Peer  # noqa: E402  # needs the link where it imports the add-on

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell's background job ignores Ctrl-C, and so would every process that the tests of Ctrl-C start
    signal.signal(signal.SIGINT, signal.default_int_handler)

if importlib.util.find_spec("hypothesis"):  # Blender's environments have none
    from hypothesis import settings

    settings.register_profile("relievo", deadline=None)  # a busy machine must not fail a test for being slow
    settings.load_profile("relievo")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; nothing of it is in the repository, and no check depends on it
    alone.
    """
    if not SHARED_DATA.is_dir():
        pytest.skip("no shared/data beside the repository: tests on real data are left out")
    return SHARED_DATA


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """One real backend for all tests that leave it in good order. Tests that kill it start their own."""
    with BackendProcess(tmp_path_factory.mktemp("state")) as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def _no_client_is_left() -> Iterator[None]:
    """Clients that a module's tests have left open are closed at its end."""
    yield
    for client in list(Peer.still_open):
        client.close()


@pytest.fixture
def peer(backend: BackendProcess) -> Iterator[Peer]:
    """A client of the shared backend, with an owner of its own."""
    client = backend.client()
    yield client
    client.close()
