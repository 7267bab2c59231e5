"""Where the panels of the 3D view's sidebar are: the tab, said once for the files that draw in it."""

from __future__ import annotations


class RelievoTab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Relievo"
