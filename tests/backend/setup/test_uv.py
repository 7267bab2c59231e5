"""uv is given the settings that pip has; an old or broken one counts as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.setup import uv


@pytest.fixture
def pip_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pip.conf that is the only source of settings."""
    for name in (
        "INDEX_URL",
        "EXTRA_INDEX_URL",
        "FIND_LINKS",
        "CERT",
        "PROXY",
        "TRUSTED_HOST",
        "TIMEOUT",
        "DEFAULT_TIMEOUT",
    ):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    for name in (
        "UV_DEFAULT_INDEX",
        "UV_INDEX",
        "UV_FIND_LINKS",
        "UV_INDEX_STRATEGY",
        "SSL_CERT_FILE",
        "ALL_PROXY",
        "UV_HTTP_TIMEOUT",
    ):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return file


def test_a_mirror_and_a_folder_of_pip_are_uvs_too(pip_settings: Path, monkeypatch: pytest.MonkeyPatch):
    pip_settings.write_text(
        "[global]\nindex-url = https://mirror.invalid/simple\nfind-links = /a /b\ntimeout = 180\n[install]\nfind-links = /c\n"
    )
    variables = uv.environ_from_pip()
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror.invalid/simple"
    assert variables["UV_FIND_LINKS"] == "/c"
    assert variables["UV_HTTP_TIMEOUT"] == "180"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"

    monkeypatch.setenv("PIP_FIND_LINKS", "/d /e")  # a variable counts before the files
    assert uv.environ_from_pip()["UV_FIND_LINKS"] == "/d,/e"


def test_what_uv_has_been_told_itself_stays(pip_settings: Path, monkeypatch: pytest.MonkeyPatch):
    pip_settings.write_text("[global]\nindex-url = https://mirror.invalid/simple\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://other.invalid/simple")
    assert "UV_DEFAULT_INDEX" not in uv.environ_from_pip()


def test_without_settings_nothing_is_told(pip_settings: Path):
    pip_settings.write_text("")
    assert "UV_DEFAULT_INDEX" not in uv.environ_from_pip()
    assert "UV_FIND_LINKS" not in uv.environ_from_pip()


@pytest.mark.parametrize("says", ["echo uv 0.4.30", "exit 3", "echo something else"])
def test_a_uv_that_is_too_old_or_broken_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str):
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert uv.find() != str(program)
