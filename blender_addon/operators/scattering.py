"""Scatter: the user's own collections over the classes of a terrain. No backend is asked."""

from __future__ import annotations

import bpy

from .. import typed
from ..settings import scattering
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from ..writers import scatter
from .reporting import reports_errors
from .results import carried_by


class RELIEVO_OT_scatter(bpy.types.Operator):
    """Scatter a collection over each class that has one chosen, by a Geometry Nodes modifier whose inputs stay editable"""

    bl_idname = "relievo.scatter"
    bl_label = "Scatter"
    bl_options = {"REGISTER", "UNDO"}

    density: bpy.props.StringProperty(
        name="Class", description="Only on this class, such as forest; empty for all", options={"SKIP_SAVE"}
    )
    collection: bpy.props.StringProperty(
        name="Collection", description="What to scatter; empty for what is chosen in the sidebar", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not scatter.densities_of(carried_by(context.active_object)):
            cls.poll_message_set("Select a terrain with classes: made of a sketch, as Mesh, Geometry Nodes or Displace")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        item = typed.present(carried_by(context.active_object))
        scattering.renew(item)
        entries = scattering.entries_of(item)
        names = [self.density] if self.density else list(entries)
        if self.density and self.density not in entries:
            raise InvalidInput(
                f"{item.name!r} has no class {self.density!r} to scatter on.",
                hint=f"It has: {', '.join(entries)}.",
                field="density",
            )
        if self.collection:
            self._choose(entries, names)
        chosen = {name: entries[name].collection for name in names if entries[name].collection is not None}
        if not chosen and not any(scatter.modifier_of(item, name) for name in names):
            raise InvalidInput(
                "No collection is chosen.",
                hint="Choose one for a class, above the button: its objects are scattered there.",
            )
        for name in names:
            if name in chosen:
                scatter.put_on(item, name, chosen[name], metres_per_unit=metres_per_unit(typed.present(context.scene)))
            else:
                scatter.remove(item, name)
        return {"FINISHED"}

    def _choose(self, entries: dict, names: list[str]) -> None:
        collection = bpy.data.collections.get(self.collection)
        if collection is None:
            raise InvalidInput(f"There is no collection {self.collection!r}.", field="collection")
        for name in names:
            entries[name].collection = collection


CLASSES = (RELIEVO_OT_scatter,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
