"""Makes what fake-bpy-module declares importable, so that the add-on's modules can be imported where there is no Blender.

fake-bpy-module ships type declarations alone ("bpy-stubs/…/__init__.pyi"), on purpose: `import bpy` must not succeed by accident
where Blender is missing. A finder turns each of them into a module with just the names that it declares: classes with their
declared bases, functions that return nothing of use, constants without a value. A name that is not declared is an error, as in
Blender. For imports only: nothing here behaves like Blender, and no test of behaviour may use it. Standard library only.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CLASS = re.compile(r"^class (\w+)(?:\[[^\]]*\])?(?:\(([^)]*)\))?:", re.MULTILINE)
_FUNCTION = re.compile(r"^def (\w+)(?:\[[^\]]*\])?\((?:.|\n)*?\)(?: -> ([^\n]*|\((?:.|\n)*?\n\))):$", re.MULTILINE)
_CONSTANT = re.compile(r"^(\w+): ", re.MULTILINE)
_SUBMODULE = re.compile(r"^from \. import (\w+) as \w+$", re.MULTILINE)


def install(declarations: Path, blender: tuple[int, int, int]) -> None:
    """From here on `import bpy` and the like give what the packages in the folder `declarations` declare.

    blender: what bpy.app.version is to say. Raises RuntimeError where there is a real bpy: that must not be hidden.
    """
    if importlib.util.find_spec("bpy") is not None:
        raise RuntimeError("there is a real bpy in this Python")
    sys.meta_path.append(_Finder(declarations))
    app = importlib.import_module("bpy.app")
    app.__dict__["version"] = blender


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, declarations: Path) -> None:
        self.declarations = declarations

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        top, *inner = name.split(".")
        file = self.declarations.joinpath(f"{top}-stubs", *inner, "__init__.pyi")
        if not file.is_file():
            return None
        return importlib.machinery.ModuleSpec(name, _Loader(file), origin=str(file), is_package=True)


class _Loader(importlib.abc.Loader):
    def __init__(self, file: Path) -> None:
        self.file = file

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name, self.file.read_text(encoding="utf-8"))

    def exec_module(self, module: types.ModuleType) -> None:
        assert isinstance(module, _Module)
        for name in module.submodules:
            importlib.import_module(f"{module.__name__}.{name}")


class _Module(types.ModuleType):
    """A module whose names are made when they are asked for: bpy.types has thousands."""

    def __init__(self, name: str, declared: str) -> None:
        super().__init__(name)
        self.submodules = _SUBMODULE.findall(declared)
        self.classes: dict[str, str] = {found[1]: found[2] or "" for found in _CLASS.finditer(declared)}
        self.functions: dict[str, str] = {found[1]: found[2] or "" for found in _FUNCTION.finditer(declared)}
        self.constants = set(_CONSTANT.findall(declared))

    def __getattr__(self, name: str) -> Any:
        if name in self.classes:
            made: Any = self._class(name)
        elif name in self.functions:
            made = _function(name, self.functions[name])
        elif name in self.constants:
            made = _Unknown(f"{self.__name__}.{name}")
        else:
            raise AttributeError(f"module {self.__name__!r} declares no {name!r}")
        self.__dict__[name] = made
        return made

    def _class(self, name: str) -> type:
        bases = tuple(self._bases(self.classes[name]))
        return types.new_class(name, bases, exec_body=lambda body: body.update(__module__=self.__name__))

    def _bases(self, written: str) -> Iterator[type]:
        """The declared bases that a module here declares as well; type parameters and Generic mean nothing at run time."""
        given = [re.sub(r"\[.*", "", base).strip() for base in re.sub(r"\[[^\[\]]*\]", "", written).split(",")]
        made: list[type] = []
        for base in given:
            module, _, short = base.rpartition(".")
            owner = sys.modules.get(module) if module else self
            if isinstance(owner, _Module) and short in owner.classes:
                made.append(getattr(owner, short))
        for one in made:  # "Object(ID, bpy_struct)": a base of another base is left out, or Python refuses the order
            if not any(one is not other and issubclass(other, one) for other in made):
                yield one


def _function(name: str, returns: str) -> Any:
    """A function that can be called with anything. One that returns a tuple gives as many values, so that it can be unpacked."""
    inside = re.fullmatch(r"tuple\[(.*)\]", returns.strip(" ()\n"), re.DOTALL)
    count = len(re.sub(r"\[[^\[\]]*\]", "", inside[1]).split(",")) if inside else 0
    value = tuple(_Unknown(f"{name}()[{number}]") for number in range(count)) if inside else _Unknown(f"{name}()")

    def declared(*_arguments: Any, **_options: Any) -> Any:
        return value

    declared.__name__ = name
    return declared


class _Unknown:
    """A value of which only the declaration is known. It can be called, as a decorator is, and has no attributes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_arguments: Any, **_options: Any) -> _Unknown:
        return self

    def __repr__(self) -> str:
        return f"<{self.name} as declared>"
