"""Fixtures for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; nothing of it is in the repository, and no check depends on it alone."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no shared/data beside the repository: tests on real data are left out")
    return SHARED_DATA
