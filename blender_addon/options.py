"""What the preferences say, as plain values: read from the add-on's page in Blender's preferences, and written back to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import bpy

from .link.connection import Place


@dataclass(frozen=True)
class Options:
    """What the preferences say; the defaults where the add-on runs without a page, as in a script."""

    data_dir: Path | None = None
    place: Place = field(default_factory=Place)
    variant: str = "auto"
    wheels: Path | None = None
    device: str = ""
    results_gb: float = 20.0
    results_days: int = 7

    @property
    def serve_options(self) -> tuple[str, ...]:
        """Further words for `serve`."""
        kept = ("--max-bytes", str(int(self.results_gb * 1e9)), "--max-age", str(self.results_days * 86400))
        return (*(("--device", self.device) if self.device else ()), *kept)


def read(context: bpy.types.Context) -> Options:
    """The preferences, or the defaults when the add-on is not enabled as one."""
    addon = context.preferences.addons.get(__package__)
    page = addon.preferences if addon is not None else None
    if page is None:
        return Options()
    place = Place()
    if page.place == "FILE":
        place = Place(endpoint_path=bpy.path.abspath(page.endpoint_path))
    elif page.place == "ADDRESS":
        place = Place(address=page.address, key=page.key, token=page.token)
    return Options(
        data_dir=Path(bpy.path.abspath(page.data_dir)) if page.data_dir else None,
        place=place,
        variant=page.variant,
        wheels=Path(bpy.path.abspath(page.wheels)) if page.wheels else None,
        device=page.device.strip(),
        results_gb=page.results_gb,
        results_days=page.results_days,
    )


def write(context: bpy.types.Context, place: Place) -> None:
    """Remember which backend to use; nothing is kept when the add-on runs without a page."""
    addon = context.preferences.addons.get(__package__)
    if addon is None or addon.preferences is None:
        return
    page = addon.preferences
    page.place = "ADDRESS" if place.address else "FILE" if place.endpoint_path else "OWN"
    page.endpoint_path, page.address, page.key, page.token = place.endpoint_path, place.address, place.key, place.token
