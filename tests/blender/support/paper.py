"""A layout on paper: what a panel draws, written down and checked, where there is no window to draw it in.

Every property, operator, menu and icon that a panel names is looked up in the running Blender, as the real layout would; one that
is not there fails the test. Not a pytest file.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

ICONS = {item.identifier for item in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items}


class _OperatorProperties:
    """Takes the arguments of an operator's button."""

    def __init__(self, idname: str) -> None:
        module, _, name = idname.partition(".")
        object.__setattr__(self, "_known", getattr(getattr(bpy.ops, module), name).get_rna_type().properties.keys())

    def __setattr__(self, name: str, value: object) -> None:
        assert name in self._known, f"the operator has no property {name}"


class Layout:
    """Stands for a bpy.types.UILayout and all that is inside it; lines: what a person reads, from the top."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self.lines: list[str] = [] if lines is None else lines

    def _inside(self, **_: object) -> Layout:
        return Layout(self.lines)

    row = column = box = _inside

    def panel(self, _name: str, *, default_closed: bool = False) -> tuple[Layout, Layout]:
        return self._inside(), self._inside()

    def separator(self, **_: object) -> None:
        pass

    def label(self, *, text: str = "", icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        self.lines.append(text)

    def split(self, **_: object) -> Layout:
        return self._inside()

    def prop(self, data: Any, name: str, *, text: str | None = None, icon: str = "NONE", expand: bool = False) -> None:
        assert icon in ICONS, icon
        declared = data.bl_rna.properties[name]
        getattr(data, name)
        self.lines.append(declared.name if text is None else text)

    def operator(
        self,
        idname: str,
        *,
        text: str | None = None,
        icon: str = "NONE",
        emboss: bool = True,
        icon_value: int = 0,
        depress: bool = False,
    ) -> Any:
        assert icon in ICONS, icon
        properties = _OperatorProperties(idname)
        module, _, name = idname.partition(".")
        label = getattr(getattr(bpy.ops, module), name).get_rna_type().name
        self.lines.append(label if text is None else text)
        return properties

    def menu(self, name: str, *, text: str = "", icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        assert hasattr(bpy.types, name)

    def template_list(
        self, kind: str, _name: str, data: Any, items: str, active: Any, index: str, *, rows: int = 5
    ) -> None:
        """Every entry that the list's filter lets through."""
        getattr(active, index)
        stands_for = SimpleNamespace(bitflag_filter_item=1)
        shown, _ = getattr(bpy.types, kind).filter_items(stands_for, bpy.context, data, items)
        self.lines += [item.name for item, is_shown in zip(getattr(data, items), shown, strict=True) if is_shown]

    def progress(self, *, factor: float, text: str = "") -> None:
        assert 0.0 <= factor <= 1.0
        self.lines.append(text)


class _Context:
    """The present context, in a 3D view."""

    @property
    def space_data(self) -> bpy.types.Space:
        areas = (area for screen in bpy.data.screens for area in screen.areas)
        return next(area.spaces.active for area in areas if area.type == "VIEW_3D")

    def __getattr__(self, name: str) -> Any:
        return getattr(bpy.context, name)


def draw(panel: type, context: Any = None) -> list[str]:
    """What a panel's poll() and draw() come to; [] where it is not shown."""
    context = context or _Context()
    ours = [base for base in reversed(panel.__mro__) if base.__module__.startswith("blender_addon")]
    members = {name: value for base in ours for name, value in vars(base).items() if not name.startswith("__")}
    poll = getattr(panel, "poll", None)
    if "poll" in members and poll is not None and not poll(context):
        return []
    drawn = type(panel.__name__, (), members)()
    drawn.layout = Layout()
    drawn.draw(context)
    if hasattr(drawn, "draw_header_preset"):
        drawn.draw_header_preset(context)
    return drawn.layout.lines
