"""A folder of small wheels, an index on loopback that serves it, and lock files for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import wheelhouse


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    for name, version in (("relievo_first", "2.4.0"), ("relievo_first", "2.3.0"), ("relievo_extra", "1.0")):
        wheelhouse.make_wheel(folder, name, version)
    return folder


@pytest.fixture
def locks(tmp_path: Path, wheels: Path) -> Path:
    """backend: relievo_first 2.4.0. extra: relievo_extra. impossible: a version that exists nowhere."""
    folder = tmp_path / "locks"
    first = wheelhouse.pin(wheels / "relievo_first-2.4.0-py3-none-any.whl")
    wheelhouse.write_lock(folder, "backend-cpu", first)
    wheelhouse.write_lock(folder, "extra", wheelhouse.pin(wheels / "relievo_extra-1.0-py3-none-any.whl"))
    wheelhouse.write_lock(folder, "impossible", wheelhouse.Pin("relievo_first", "0.0.0", "", first.hashes))
    return folder


@pytest.fixture
def package_index(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The only index, told to pip as a user with a mirror would tell it; uv's cache is the test's own."""
    with wheelhouse.index(wheels) as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        yield address
