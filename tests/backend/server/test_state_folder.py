"""The state folder as a place: nothing in it leads elsewhere, nobody else reads it, what is odd does not keep a backend away."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from backend.server.state_folder import RESERVE_BYTES, StateFolder
from backend.server.store import Store
from shared.errors import BackendUnavailable

posix_only = pytest.mark.skipif(os.name == "nt", reason="modes, owners and links of POSIX")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.rglob("*")]}


@posix_only
@pytest.mark.parametrize(
    "name",
    ["jobs", "incoming", "trash", "handoff", "lock", "reserve", "backend.log", "worker-cpu.log", "process.log",
     "backend.log.1", "endpoint.json", "curve.json", "stacks.log"],
)  # fmt: skip
def test_a_link_in_the_folder_is_refused_and_what_it_leads_to_is_untouched(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years")
    state = tmp_path / "state"
    state.mkdir()
    (state / name).symlink_to(victim if "." not in name and name not in ("lock", "reserve") else victim / "thesis.txt")
    with pytest.raises(BackendUnavailable, match=f"{name} is a link"):
        Store(state)
    assert (victim / "thesis.txt").read_text() == "years"
    assert sorted(path.name for path in victim.iterdir()) == ["thesis.txt"]


@posix_only
def test_the_folder_itself_may_be_the_users_own_link(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir(mode=0o755)
    (tmp_path / "state").symlink_to(tmp_path / "big")
    Store(tmp_path / "state").close()
    assert set(modes(tmp_path / "big").values()) <= {0o700, 0o600}


@posix_only
def test_a_link_left_in_the_handoff_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years")
    handoff = tmp_path / "state" / "handoff"
    handoff.mkdir(parents=True)
    (handoff / "proof").symlink_to(victim / "thesis.txt")
    (handoff / "folder").symlink_to(victim)
    (handoff / "deep" / "deeper").mkdir(parents=True)
    Store(tmp_path / "state").close()
    assert (victim / "thesis.txt").read_text() == "years"
    assert [path.name for path in handoff.iterdir()] == ["proof"]


@posix_only
def test_what_another_user_owns_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BackendUnavailable, match="belongs to another user"):
        Store(tmp_path / "state")


@posix_only
def test_a_folder_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name in ("jobs", "handoff"):
        (state / name).mkdir(parents=True)
    for name in ("backend.log", "backend.log.1", "process.log", "worker-cpu.log"):
        (state / name).write_text("lines\n")
    for path in [state, *state.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    Store(state).close()
    assert set(modes(state).values()) <= {0o700, 0o600}


def test_entries_of_the_wrong_type_are_put_aside(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for name in ("lock", "endpoint.json", "backend.log", "reserve"):
        (state / name / "inside").mkdir(parents=True)
    for name in ("jobs", "incoming", "trash", "handoff"):
        (state / name).write_text("a file")
    if os.name != "nt":
        os.mkfifo(state / "worker-cpu.log")
    store = Store(state)
    assert len(store.state_folder.put_aside) >= 7, "what was found is kept and named in the log"
    assert len(list(state.glob("*.odd-*"))) == len(list(state.glob("*.odd-*/inside"))) + 4 + (os.name != "nt")
    store.close()


@posix_only
def test_a_folder_that_is_deleted_or_replaced_is_noticed(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    assert folder.is_there
    (tmp_path / "state").rename(tmp_path / "moved")
    assert not folder.is_there
    second = StateFolder(tmp_path / "state")
    assert second.is_there
    assert not folder.is_there
    second.close()
    folder.close()


def test_on_a_full_disk_the_kept_room_is_given_up(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.keep_room()
    reserve = tmp_path / "state" / "reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    tries = []

    def write() -> str:
        tries.append(reserve.exists())
        if reserve.exists():
            raise OSError(errno.ENOSPC, "full")
        return "written"

    assert folder.with_room(write) == "written"
    assert tries == [True, False]

    def never() -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        folder.with_room(never)
    folder.close()
