"""Installs the backend as a child process of the add-on: `python -m backend.setup.install_command FOLDER`, in Blender's Python.

It prints JSON lines: {"stage", "fraction", "line"} and at last {"ready": python} or {"error": {...}}. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

from backend.setup import locks
from backend.setup.environment import Environment, variant_for_this_machine
from backend.setup.installing import ensure
from shared.errors import InstallFailed


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="install_command", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", type=Path, help="folder of the environment")
    parser.add_argument("--variant", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--wheels", type=Path, help="folder of wheels, where there is no internet")
    parser.add_argument("--group", action="append", help="requirement group (backend)")
    parser.add_argument("--locks", type=Path, default=locks.FOLDER, help="the folder of the lock files")
    options = parser.parse_args(argv)
    environment = Environment(
        root=options.root,
        groups=tuple(options.group or ("backend",)),
        variant=variant_for_this_machine() if options.variant == "auto" else options.variant,
        wheels=options.wheels,
        locks=options.locks,
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
