"""Makes and checks Python environments: the backend's, and one for each Blender. Standard library only.

Three callers share it: relievo.py before anything is installed, the add-on's Install Backend (run as a child process that reports
JSON lines), and the tests. What is installed is what pyproject.toml pins. An environment carries a marker file that says
"incomplete" until its last step is done, so that a broken install is seen and the next one goes on where it broke off.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InstallFailed

SOURCE = Path(__file__).resolve().parents[2]
MARKER = "relievo-environment.json"
PYTHON_VERSIONS = ((3, 11), (3, 12), (3, 13))
BLENDERS = ("4.2", "4.5", "5.0")
FULL_DISK_BYTES = 4 << 20
NEEDED_BYTES = {"cpu": 1_500_000_000, "cuda": 9_000_000_000}  # PyTorch and the rest, unpacked, with the downloads

Report = Callable[[str, float, str], None]
"""report(stage, fraction 0..1, line of output)"""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment at `root` with the requirement groups `groups` of pyproject.toml.

    variant: "cpu" or "cuda", the build of torch. wheels: a folder of wheels to install from without internet, or None.
    project: the pyproject.toml that pins the groups.
    """

    root: Path
    groups: tuple[str, ...] = ("backend",)
    variant: str = "cpu"
    wheels: Path | None = None
    project: Path = SOURCE / "pyproject.toml"

    @property
    def python(self) -> Path:
        return self.root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def requirements(self, group: str) -> list[str]:
        """The pinned requirements of a group: "backend", "test", "bench", "blender-4-5" ..."""
        project = tomllib.loads(self.project.read_text(encoding="utf-8"))
        return project["project"]["dependencies"] if group == "backend" else project["dependency-groups"][group]

    @property
    def fingerprints(self) -> dict[str, str]:
        """By group: changes with any pinned requirement, and for the backend with the variant."""
        texts = {g: json.dumps([self.requirements(g), self.variant if g == "backend" else ""]) for g in self.groups}
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
    """The marker of an environment, {} where there is none that can be read."""
    try:
        return json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write_marker(root: Path, marker: dict) -> None:
    temporary = root / f".{MARKER}"
    temporary.write_text(json.dumps(marker, indent=1), encoding="utf-8")
    os.replace(temporary, root / MARKER)


def backend_environment(*extra_groups: str, variant: str = "cpu") -> Environment:
    """The checkout's own: .venv beside pyproject.toml."""
    return Environment(root=SOURCE / ".venv", groups=("backend", *extra_groups), variant=variant)


def blender_environment(version: str) -> Environment:
    """A headless Blender ("4.2", "4.5", "5.0") with the Python modules that Blender's own Python would have."""
    if version not in BLENDERS:
        raise InstallFailed(f"There is no Blender {version} to install.", hint=f"Known are: {', '.join(BLENDERS)}.")
    return Environment(root=SOURCE / f".venv-blender-{version}", groups=(f"blender-{version.replace('.', '-')}",))


def has_nvidia() -> bool:
    """Whether an NVIDIA driver answers. `nvidia-smi` comes with the driver on every platform."""
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


# Installing ----------------------------------------------------------------------------------------------------------------------


def ensure(
    environment: Environment, report: Report = lambda stage, fraction, line: None, *, interpreter: str = ""
) -> Path:
    """Makes the environment what it should be and returns its Python; at once where it is ready.

    Each step is recorded when it is done, so that a run after a break skips it. Raises InstallFailed.
    """
    if environment.state == "ready":
        return environment.python
    try:
        environment.root.mkdir(parents=True, exist_ok=True)
        with _only_one(environment.root):
            _bring_up_to_date(environment, report, interpreter)
    except OSError as error:
        raise InstallFailed(
            f"The environment in {environment.root} could not be written: {error.strerror or error}.",
            hint="Free some space there, or choose another folder.",
        ) from error
    except InstallFailed as error:
        # asked of the disk itself: venv and pip often die of a full one without a word of it
        if shutil.disk_usage(environment.root).free < FULL_DISK_BYTES:
            raise InstallFailed(
                f"The disk with {environment.root} is full.",
                hint="Free some space and install again: what is there is kept.",
            ) from error
        raise
    report("Ready", 1.0, "")
    return environment.python


def _bring_up_to_date(environment: Environment, report: Report, interpreter: str) -> None:
    _check_space(environment)
    marker = {**read_marker(environment.root), "state": "incomplete"}
    _write_marker(environment.root, marker)
    steps = list(_steps(environment, marker, interpreter))
    for index, step in enumerate(steps):
        report(step.stage, index / len(steps), "")
        step.run(lambda line, index=index, step=step: report(step.stage, (index + 0.5) / len(steps), line))
    groups = {**marker.get("groups", {}), **environment.fingerprints}
    _write_marker(environment.root, {**marker, "groups": groups, "variant": environment.variant, "state": "ready"})


def _check_space(environment: Environment) -> None:
    """Said before anything is downloaded, not after most of it. An environment that was broken off has part of it already."""
    has_torch = any(
        "torch==" in requirement for group in environment.groups for requirement in environment.requirements(group)
    )
    free = shutil.disk_usage(environment.root).free
    if has_torch and not environment.python.exists() and free < NEEDED_BYTES[environment.variant]:
        raise InstallFailed(
            f"The backend needs about {NEEDED_BYTES[environment.variant] / 1e9:.1f} GB; "
            f"{free / 1e9:.1f} GB are free in {environment.root}.",
            hint="Free some space there, or choose another folder.",
        )


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Two commands started at once must not install into one environment: the second waits for the first."""
    with open(root / "relievo.lock", "w", encoding="utf-8") as file:  # uv locks ".lock" in there itself
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class _Step:
    stage: str
    run: Callable[[Callable[[str], None]], None]


def _steps(environment: Environment, marker: dict, interpreter: str) -> Iterator[_Step]:
    """What is still to be done. pip and uv skip what a broken-off step has installed already."""
    if not environment.python.exists():
        yield _Step(
            "Creating the environment", lambda line: _create(environment, interpreter or find_interpreter(), line)
        )
    done = marker.get("groups", {})
    for group in environment.groups:
        if done.get(group) == environment.fingerprints[group]:
            continue
        wanted = environment.requirements(group)
        torch = [requirement for requirement in wanted if requirement.startswith("torch==")]
        for requirement in torch:
            yield _Step("Installing PyTorch", lambda line, r=requirement: _install_torch(environment, r, line))
        rest = [requirement for requirement in wanted if requirement not in torch]
        yield _Step(
            f"Installing the {group.replace('-', ' ', 1)} libraries",
            lambda line, r=rest: _install(environment, r, line),
        )


def find_interpreter() -> str:
    """A Python that the backend runs on: this one where its version fits, else one that uv finds or fetches."""
    if sys.version_info[:2] in PYTHON_VERSIONS and importable("venv") and importable("ensurepip"):
        return sys.executable
    for major, minor in PYTHON_VERSIONS:
        found = shutil.which(f"python{major}.{minor}")
        if found and _runs([found, "-c", "import ensurepip, venv"]):  # a version manager's shim may lead nowhere
            return found
    if uv := find_uv():
        subprocess.run([uv, "python", "install", "3.11"], capture_output=True)  # does nothing where it is there already
        if found := _capture([uv, "python", "find", "3.11"]):
            return found
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    reason = "comes without venv" if sys.version_info[:2] in PYTHON_VERSIONS else f"is {here}"
    raise InstallFailed(
        f"The backend runs on Python 3.11 to 3.13. The one at hand {reason}, and no other was found on this machine.",
        hint="Install uv (docs.astral.sh/uv), which fetches a Python by itself, or Python 3.11 from python.org. "
        "Then try again.",
    )


def find_uv() -> str:
    """uv's program, "" where there is none. Programs that a desktop starts do not have its folder in their PATH."""
    own = os.pathsep.join(str(Path.home() / folder) for folder in (".local/bin", ".cargo/bin"))
    return shutil.which("uv") or shutil.which("uv", path=own) or ""


def importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _capture(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _create(environment: Environment, interpreter: str, line: Callable[[str], None]) -> None:
    uv = find_uv()
    if uv:
        _run([uv, "venv", "--allow-existing", "--python", interpreter, str(environment.root)], line)
    else:
        _run([interpreter, "-m", "venv", str(environment.root)], line)


def _install(environment: Environment, wanted: list[str], line: Callable[[str], None], *extra: str) -> None:
    uv = find_uv()
    command = (
        [uv, "pip", "install", "--python", str(environment.python)]
        if uv
        else [
            str(environment.python),
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
        ]
    )
    if environment.wheels:
        extra = (*extra, "--no-index", "--find-links", str(environment.wheels))
    elif uv and (links := os.environ.get("PIP_FIND_LINKS")):
        # uv reads none of pip's settings: a folder of wheels that the user gave pip is meant for both
        extra = (*extra, *(word for link in links.split() for word in ("--find-links", link)))
    _run([*command, *wanted, *extra], line)


def _install_torch(environment: Environment, requirement: str, line: Callable[[str], None]) -> None:
    """The CPU build where that is wanted and can be had; on Linux the registry's own build is the one with CUDA.

    The ways, in order: a CPU build that the user's own indexes or wheels offer ("+cpu"); uv's torch backends, which know
    PyTorch's own index; the plain requirement.
    """
    plain = [requirement]
    if environment.variant == "cpu" and sys.platform == "linux":
        try:
            return _install(environment, [f"{requirement}+cpu"], line)
        except InstallFailed:
            line("No CPU build of PyTorch in the configured indexes; asking PyTorch's own.")
    if sys.platform == "darwin" or environment.wheels or (environment.variant == "cuda" and sys.platform == "linux"):
        return _install(environment, plain, line)
    try:
        if not find_uv():
            return _install_with_own_uv(environment, plain, line)
        return _install(
            environment, plain, line, f"--torch-backend={'cpu' if environment.variant == 'cpu' else 'auto'}"
        )
    except InstallFailed:
        line("PyTorch's own index cannot be reached; taking the build of the package registry, with CUDA's libraries.")
        return _install(environment, plain, line)


def _install_with_own_uv(environment: Environment, wanted: list[str], line: Callable[[str], None]) -> None:
    _install(environment, ["uv"], line)
    backend = "cpu" if environment.variant == "cpu" else "auto"
    _run(
        [
            str(environment.python),
            "-m",
            "uv",
            "pip",
            "install",
            "--python",
            str(environment.python),
            *wanted,
            f"--torch-backend={backend}",
        ],
        line,
    )


def _run(command: list[str], line: Callable[[str], None]) -> None:
    """Runs a step and passes its output on line by line; InstallFailed carries the line that says why."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    tail: list[str] = []
    assert process.stdout is not None
    for text in process.stdout:
        text = text.strip()
        if text:
            tail = [*tail[-30:], text]
            line(text)
    if process.wait() != 0:
        raise _explain(tail)


_EXPLANATIONS = (
    # (what pip or uv says, what it means, what to do)
    (
        ("No matching distribution", "No solution found", "not find a version", "no wheels", "no versions"),
        "A library is not to be had for this machine and this Python",
        "With a folder of wheels: add the missing one to it.",
    ),
    (
        (
            "Name or service not known",
            "Temporary failure",
            "ConnectionError",
            "Connection refused",
            "dns error",
            "timed out",
            "Network is unreachable",
        ),
        "The package registry cannot be reached.",
        "Check the connection, or install from a folder of wheels.",
    ),
    (
        ("Permission denied",),
        "The folder may not be written.",
        "Choose another folder for the backend in the preferences.",
    ),
)


def _explain(tail: list[str]) -> InstallFailed:
    text = "\n".join(tail)
    for signs, meaning, hint in _EXPLANATIONS:
        for sign in signs:
            if sign.lower() in text.lower():
                detail = next((entry for entry in reversed(tail) if sign.lower() in entry.lower()), "")
                return InstallFailed(meaning if meaning.endswith(".") else f"{meaning}: {detail}", hint=hint)
    return InstallFailed(
        f"Installing failed: {tail[-1] if tail else 'the installer said nothing'}.", hint="The log below says more."
    )


# As a child process of the add-on ------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Installs and reports JSON lines: {"stage", "fraction", "line"} and at last {"ready": python} or {"error": {...}}."""
    parser = argparse.ArgumentParser(prog="environment", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", type=Path, help="folder of the environment")
    parser.add_argument("--variant", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--wheels", type=Path, help="folder of wheels, where there is no internet")
    parser.add_argument("--group", action="append", help="requirement group (backend)")
    parser.add_argument(
        "--project", type=Path, default=SOURCE / "pyproject.toml", help="the pyproject.toml that pins the groups"
    )
    options = parser.parse_args(argv)
    variant = options.variant if options.variant != "auto" else ("cuda" if has_nvidia() else "cpu")
    environment = Environment(
        root=options.root,
        groups=tuple(options.group or ("backend",)),
        variant=variant,
        wheels=options.wheels,
        project=options.project,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def say(**fields: object) -> None:
        print(json.dumps(fields), flush=True)

    try:
        python = ensure(
            environment, lambda stage, fraction, line: say(stage=stage, fraction=round(fraction, 3), line=line)
        )
        say(stage="Testing the backend", fraction=0.97, line="")
        if "backend" in environment.groups:
            say(selftest=self_test(python))
    except InstallFailed as error:
        say(error={"code": error.code, "message": error.message, "hint": error.hint})
        return 1
    say(ready=str(python))
    return 0


def self_test(python: Path) -> dict:
    """Imports what the backend needs and runs a short computation in the new environment: {"device", "memory_bytes", "seconds"}."""
    code = (
        "import json, time, torch, numba, rasterio, OpenEXR, zmq, scipy\n"
        "cuda = torch.cuda.is_available()\n"
        "device = torch.device('cuda' if cuda else 'cpu')\n"
        "a = torch.rand(1024, 1024, device=device); start = time.perf_counter(); float((a @ a).sum())\n"
        "memory = torch.cuda.get_device_properties(0).total_memory if cuda else 0\n"
        "print(json.dumps({'device': torch.cuda.get_device_name(0) if cuda else 'CPU', 'memory_bytes': memory, "
        "'seconds': round(time.perf_counter() - start, 3), 'torch': torch.__version__}))\n"
    )
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    if result.returncode != 0:
        last = result.stderr.strip().splitlines()[-1:] or ["no message"]
        raise InstallFailed(
            f"The backend was installed, but does not run: {last[0]}", hint="Remove it and install it again."
        )
    return json.loads(result.stdout)


if __name__ == "__main__":
    sys.exit(main())
