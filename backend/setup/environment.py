"""A Python environment: what it should hold, and what state it is in. Standard library only; installing.py changes it.

Three callers share it: relievo.py before anything is installed, the add-on's Install Backend, and the tests. What it should hold is
what the lock files say. An environment carries a marker file that says "incomplete" until its last step is done, so that a broken
install is seen and the next one goes on where it broke off.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from backend.setup import locks
from shared.errors import InstallFailed

SOURCE = Path(__file__).resolve().parents[2]
MARKER = "relievo-environment.json"
BLENDERS = ("4.2", "4.5", "5.0")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment at `root` with what the lock files of `groups` pin.

    variant: "cpu" or "cuda", the build of PyTorch. wheels: a folder of wheels to install from without internet, or None.
    locks: the folder of the lock files.
    """

    root: Path
    groups: tuple[str, ...] = ("backend",)
    variant: str = "cpu"
    wheels: Path | None = None
    locks: Path = locks.FOLDER

    @property
    def python(self) -> Path:
        return self.root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def pins(self, group: str) -> list[locks.Pin]:
        """What the group's lock pins, for every machine."""
        return locks.read(locks.lock_name(group, self.variant), self.locks)

    @property
    def fingerprints(self) -> dict[str, str]:
        """By group: the digest of its lock file's pins."""
        texts = {group: "\n".join(map(str, self.pins(group))) for group in self.groups}
        return {group: hashlib.sha256(text.encode()).hexdigest()[:16] for group, text in texts.items()}

    @property
    def state(self) -> str:
        """ "missing", "incomplete", "outdated" or "ready"."""
        marker = read_marker(self.root)
        if not marker or not self.python.exists():
            return "missing"
        if marker.get("state") != "ready":
            return "incomplete"
        return "ready" if self.fingerprints.items() <= marker.get("groups", {}).items() else "outdated"


def read_marker(root: Path) -> dict:
    """The marker of an environment, {} where there is none that can be read.

    {"state": "incomplete" or "ready", "groups": {group: fingerprint}, "locks": {group: name of the lock that was installed},
    "variant": "cpu" or "cuda"}; the lock is another than the variant's where no CPU build of PyTorch could be had.
    """
    try:
        return json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_marker(root: Path, marker: dict) -> None:
    temporary = root / f".{MARKER}"
    temporary.write_text(json.dumps(marker, indent=1), encoding="utf-8")
    os.replace(temporary, root / MARKER)


def backend_environment(*extra_groups: str, variant: str = "cpu") -> Environment:
    """The checkout's own: .venv beside pyproject.toml."""
    return Environment(root=SOURCE / ".venv", groups=("backend", *extra_groups), variant=variant)


def blender_environment(version: str) -> Environment:
    """A headless Blender ("4.2", "4.5", "5.0") with the Python modules that Blender's own Python would have."""
    if version not in BLENDERS:
        raise InstallFailed(f"There is no Blender {version} to install.", hint=f"Available: {', '.join(BLENDERS)}.")
    return Environment(root=SOURCE / f".venv-blender-{version}", groups=(f"blender-{version.replace('.', '-')}",))


def variant_for_this_machine() -> str:
    """ "cuda" where an NVIDIA card answers, else "cpu"."""
    return "cuda" if has_nvidia() else "cpu"


def has_nvidia() -> bool:
    """Whether an NVIDIA driver answers. `nvidia-smi` comes with the driver on every platform."""
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
