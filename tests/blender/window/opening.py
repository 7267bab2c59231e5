"""How every drive of a real window begins: the arguments, the add-on of the checkout, its tab in the sidebar, and the newest job.

Blender runs a drive as a script, so a drive puts this folder on sys.path before it imports this module, and imports blender_addon
after use_checkout(). blender_drive.py is looked for beside the repository, in shared/tools. Not a pytest file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy

ARGUMENTS = sys.argv[sys.argv.index("--") + 1 :]
sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "shared" / "tools"))

import blender_drive as drive  # noqa: E402


def use_checkout(data: str | Path) -> None:
    """The first argument is the folder that holds blender_addon, the second the connection file of a backend that runs. data: the
    folder of the add-on's own files.
    """
    addon_parent, endpoint = ARGUMENTS[:2]
    sys.path.insert(0, addon_parent)
    os.environ["RELIEVO_ENDPOINT"] = endpoint
    os.environ["RELIEVO_DATA"] = str(data)


def shot(name: str) -> None:
    """A picture of the window in the folder that is the third argument."""
    drive.shot(str(Path(ARGUMENTS[2]) / f"{name}.png"))


def tab_in_an_empty_scene(keep: tuple[str, ...] = ("CAMERA", "LIGHT")) -> Generator[Any, None, None]:
    """The add-on registered, its tab open in the width that the sidebar has at first, the backend ready.

    keep: types of objects that stay.
    """
    import blender_addon
    from blender_addon import pump

    for other in list(bpy.data.objects):
        if other.type not in keep:
            bpy.data.objects.remove(other)
    blender_addon.register()
    yield 1.0
    yield from drive.open_sidebar("Relievo")
    yield lambda: pump.session().connection.is_ready
    yield 1.0


def newest_job() -> Any:
    """Of the checkout's add-on."""
    from blender_addon import pump

    return list(pump.session().jobs.values())[-1]


def settled() -> bool:
    """Whether the newest job of the checkout's add-on is done, and its result in the scene."""
    job = newest_job()
    return job.is_settled and not job.awaits_placing


def choose(settings: Any, engine: str) -> Generator[Any, None, None]:
    """Press an engine's button and let its panel be drawn."""
    settings.algorithm = engine
    drive.view3d().tag_redraw()
    yield 0.7
