"""Which build of PyTorch is installed: the small one for the CPU, or the one with CUDA's libraries. Standard library only.

On Linux the package index's own build is the one with CUDA; a CPU build ("+cpu") comes from PyTorch's own index, from an index or a
folder that the user has configured, or from a folder of wheels. On Windows and macOS the package index's own build is the CPU's.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence

from backend.setup import locks
from backend.setup.environment import Environment
from backend.setup.installer_process import Line, NotAvailable
from backend.setup.packages import Packages
from shared.errors import InstallFailed

NEEDED_BYTES = {"cpu": 1_500_000_000, "cuda": 9_000_000_000}  # PyTorch and the rest, unpacked, with the downloads
DOWNLOAD_BYTES = {"cpu": 400_000_000, "cuda": 3_000_000_000}  # all of the backend's lock, on Linux

Stage = Callable[[str], None]
"""Takes what is done now, in words."""


def check_space(environment: Environment, variant: str) -> None:
    """Said before anything is downloaded, not after most of it."""
    free = shutil.disk_usage(environment.root).free
    if free < NEEDED_BYTES[variant]:
        raise InstallFailed(
            f"The backend needs about {NEEDED_BYTES[variant] / 1e9:.1f} GB; "
            f"{free / 1e9:.1f} GB are free in {environment.root}.",
            hint="Free some space there, or choose another folder.",
        )


def stage_name(environment: Environment) -> str:
    """With the size of the download where it is large."""
    if environment.variant == "cuda" and sys.platform == "linux" and not environment.wheels:
        return f"Downloading {DOWNLOAD_BYTES['cuda'] / 1e9:.1f} GB: PyTorch with CUDA"
    return "Installing PyTorch"


def install(environment: Environment, packages: Packages, stage: Stage, line: Line) -> str:
    """Installs the build that the environment's variant wants and returns the variant of the lock that it came from.

    That is "cuda" for "cpu" where no CPU build can be had. Raises InstallFailed.
    """
    if sys.platform == "linux" and environment.variant == "cpu":
        return _cpu_on_linux(environment, packages, stage, line)
    if sys.platform == "win32" and environment.variant == "cuda":
        return _cuda_on_windows(environment, packages, stage, line)
    packages.install(pins(environment, environment.variant), line)
    return environment.variant


def pins(environment: Environment, variant: str) -> list[locks.Pin]:
    """PyTorch's own lines of the backend's lock."""
    lock = locks.read(locks.lock_name("backend", variant), environment.locks)
    return [pin for pin in lock if pin.name == "torch"]


def _cpu_on_linux(environment: Environment, packages: Packages, stage: Stage, line: Line) -> str:
    cpu = pins(environment, "cpu")
    ways: list[Sequence[str]] = [()]
    if packages.uv and not environment.wheels:
        ways.append(("--torch-backend=cpu",))  # uv knows PyTorch's own index
    for options in ways:
        try:
            packages.install(cpu, line, *options)
            return "cpu"
        except NotAvailable:
            line("It has no CPU build of PyTorch.")
        except InstallFailed as error:
            if not options or "index cannot be reached" not in error.message:
                raise
            line("PyTorch's own index cannot be reached.")
    check_space(environment, "cuda")
    size = "Installing" if environment.wheels else f"Downloading {DOWNLOAD_BYTES['cuda'] / 1e9:.1f} GB:"
    stage(f"{size} PyTorch with CUDA, because no CPU build is available")
    packages.install(pins(environment, "cuda"), line)
    return "cuda"


def _cuda_on_windows(environment: Environment, packages: Packages, stage: Stage, line: Line) -> str:
    """The build for the installed driver, which uv knows to choose. The lock has only its version: each driver has its own file."""
    version = next(pin.version for pin in locks.read("backend-cuda", environment.locks) if pin.name == "torch")
    options = ("--torch-backend=auto",) if packages.uv and not environment.wheels else ()
    try:
        packages.install_unlocked(f"torch=={version}", line, *options)
        return "cuda"
    except InstallFailed as error:
        line(error.message)
    stage("Installing PyTorch for the CPU, because no build with CUDA is available")
    packages.install(pins(environment, "cpu"), line)
    return "cpu"
