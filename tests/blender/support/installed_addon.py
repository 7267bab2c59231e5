"""What a person does with Install Backend, on an add-on that Blender itself has installed from its zip: one run in a
fresh Blender, started by test_install.py.

    python installed_addon.py ZIP

Prints one JSON object with what it saw; any exception ends it with status 1.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import bpy

CHECKOUT = Path(__file__).resolve().parents[3]
MODULE = "bl_ext.user_default.relievo"


def addon(name: str) -> Any:
    return importlib.import_module(f"{MODULE}.{name}")


def refusal(operator: Any, **arguments: Any) -> str:
    """What an operator says when it refuses; a failed assertion where it does not."""
    try:
        operator(**arguments)
    except RuntimeError as error:
        return str(error).strip()
    raise AssertionError(f"{operator.idname()} did not refuse")


def interrupt_at(*stages: str) -> None:
    """Ctrl-C as soon as the installer has come that far. A stage may be over before it is seen, so more than one is given."""

    def watch() -> None:
        session = addon("pump").session()
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            progress = session.connection.progress
            if progress is not None and progress.stage.startswith(stages):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()


def settled_state(timeout_s: float = 5.0) -> str:
    """The connection's state once it has looked at the disk again."""
    session = addon("pump").session()
    connection = session.connection
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        connection.pump()
        time.sleep(0.1)
        if connection.installed == connection.installation.state:
            break
    return session.standing.state.value


def carry_kernels_over(source: Path) -> None:
    """What an earlier installation leaves: compiled kernels, here the checkout's. Those of noise are left to be compiled."""
    shutil.copytree(CHECKOUT / "backend/ops", source / "backend/ops")
    for path in (source / "backend/ops").rglob("noise_cpu.*.nb?"):
        path.unlink()


def main(zip_path: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    bpy.ops.extensions.package_install_files(
        repo="user_default", filepath=zip_path, enable_on_install=True, overwrite=True
    )
    root = Path(addon("install.installation").__file__).parents[1]
    session = addon("pump").session()
    seen["at first"] = settled_state()
    bpy.context.preferences.system.use_online_access = False
    seen["offline"] = refusal(bpy.ops.relievo.install_backend)
    bpy.context.preferences.system.use_online_access = True
    bpy.context.preferences.addons[MODULE].preferences.variant = "cpu"

    interrupt_at("Installing", "Testing", "Compiling")
    seen["interrupted"] = refusal(bpy.ops.relievo.install_backend)
    seen["after the interrupt"] = session.connection.installation.state
    seen["generate without"] = refusal(bpy.ops.relievo.noise, width_px=32, height_px=32)

    carry_kernels_over(session.connection.installation.source)
    seen["install"] = sorted(bpy.ops.relievo.install_backend())
    seen["selftest"] = session.connection.selftest
    noise = session.connection.installation.source.glob("backend/ops/terrain/**/noise_cpu.*.nbi")
    seen["compiled"] = len(list(noise))
    seen["standing"] = session.standing.sentence
    seen["installed"] = session.connection.installation.state
    seen["noise"] = sorted(bpy.ops.relievo.noise(seed=7, width_px=48, height_px=32, octaves=3))
    seen["vertices"] = len(bpy.context.active_object.data.vertices)

    bpy.ops.relievo.stop_backend()
    (root / "payload/payload.txt").write_text("another build\n", encoding="utf-8")
    (root / "payload/backend/another.py").write_text('"""New in this build."""\n', encoding="utf-8")
    seen["after an upgrade"] = settled_state()
    seen["update"] = sorted(bpy.ops.relievo.update_backend())
    seen["updated"] = (session.connection.installation.source / "backend/another.py").exists()
    seen["state after update"] = session.standing.state.value
    seen["noise again"] = sorted(bpy.ops.relievo.noise(seed=8, width_px=48, height_px=32, octaves=3))

    seen["measure"] = sorted(bpy.ops.relievo.measure_backend())
    seen["size"] = session.connection.size_bytes
    seen["remove"] = sorted(bpy.ops.relievo.remove_backend())  # while it runs
    seen["removed"] = not session.connection.installation.root.exists()
    seen["at last"] = settled_state()
    bpy.ops.preferences.addon_disable(module=MODULE)
    return seen


if __name__ == "__main__":
    print("SEEN " + json.dumps(main(sys.argv[1])), flush=True)
