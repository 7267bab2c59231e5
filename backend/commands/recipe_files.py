"""A recipe beside files: which file went into which port, with a digest, so that a repeat is one or says why not.

shared/recipe.py says what a recipe is; here are the files. Nothing is computed and no output is written here.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.files import exemplars
from shared import digests
from shared.algorithm import AlgorithmSpec
from shared.arrays import TEXTURE_SET, ArrayKind
from shared.cameras import files_of
from shared.errors import InvalidInput
from shared.params import suggestion
from shared.plain_files import is_special
from shared.read_files import MIB, TooDeep, parse_json, read_bytes
from shared.recipe import check_recipe

logger = logging.getLogger(__name__)

NAME = "recipe.json"
MOST_BYTES = 256 * MIB  # of a recipe; with a thousand photographs it has a few hundred KiB
DEEPEST = 400  # levels of JSON: a chain of 80 recipes, each the input of the next


def load(path: Path) -> dict[str, Any]:
    """The recipe in a file, or in a folder of results. Raises InvalidInput."""
    path = path / NAME if path.is_dir() else path
    if not path.exists():
        raise InvalidInput(f"There is no recipe {path}.", field="recipe")
    data = read_bytes(path, field="recipe", most=MOST_BYTES)
    try:
        recipe = check_recipe(parse_json(data, deepest=DEEPEST))
    except TooDeep as error:
        raise InvalidInput(f"{path} cannot be a recipe: {error}.", field="recipe") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not a Relievo recipe: {error}.", field="recipe") from error
    except RecursionError as error:
        raise InvalidInput(f"{path} is not a Relievo recipe: it is nested too deeply.", field="recipe") from error
    inputs = recipe.get("inputs", {})
    if not isinstance(inputs, dict) or not all(isinstance(items, list) for items in inputs.values()):
        raise InvalidInput(f"{path} is not a Relievo recipe: its inputs are not lists by port.", field="recipe")
    return recipe


def check_version(spec: AlgorithmSpec, recipe: Mapping[str, Any]) -> None:
    """Warns where this version cannot promise the same bytes."""
    if recipe.get("algorithm_version", spec.version) not in (spec.version, *spec.repeats):
        logger.warning(
            "The recipe was made by version %s of %s; this is version %s, whose result may differ.",
            recipe.get("algorithm_version"),
            spec.name,
            spec.version,
        )


def implementation(recipe: Mapping[str, Any] | None) -> str:
    """ "plain" where the recipe was made without compiled kernels, whose bytes may be others; else ""."""
    return "plain" if recipe and recipe.get("implementation") == "plain" else ""


def inputs(
    spec: AlgorithmSpec,
    given: Mapping[str, str | Sequence[str]],
    recipe: Mapping[str, Any] | None,
    recipe_path: Path | None,
) -> dict[str, list[dict[str, Any]]]:
    """For each port what goes in: {"path", "sha256"} of a file, or {"recipe", "port", "array_sha256"}.

    sha256 is "" where there is no digest to hold the file to. A file named on the command line takes the place of the recipe's.
    """
    chosen: dict[str, list[dict[str, Any]]] = {}
    for port, files in given.items():
        names = [files] if isinstance(files, str) else list(files)
        chosen[port] = [{"path": str(shipped_exemplar(name) or name), "sha256": ""} for name in names]
        if recipe and recipe.get("inputs", {}).get(port):
            logger.warning("%s is %s in this run, which overrides the recipe.", port, ", ".join(names))
    for port, items in (recipe or {}).get("inputs", {}).items():
        if port not in chosen:
            chosen[port] = [_recorded(port, item, recipe_path) for item in items if not _is_absent(item)]
    known = {port.name for port in spec.inputs}
    for port in chosen:
        if port not in known:
            raise InvalidInput(f"{spec.label} has no input {port!r}.", hint=suggestion(port, known), field=port)
    return chosen


def _is_absent(item: Any) -> bool:
    """Whether the item stands for a photograph's mask that there was none of."""
    return isinstance(item, dict) and item.get("absent") is True


def _recorded(port: str, item: Any, recipe_path: Path | None) -> dict[str, Any]:
    """What a recipe means by an input: a file where it was or beside the recipe (folders move), an exemplar, or another recipe."""
    item = item if isinstance(item, dict) else {}
    if isinstance(item.get("recipe"), dict):
        return {
            "recipe": check_recipe(item["recipe"]),
            "port": str(item.get("port", "")),
            "array_sha256": str(item.get("sha256", "")),
        }
    file = item.get("file")
    if item.get("exemplar"):
        sha256 = str(file.get("sha256", "")) if isinstance(file, dict) else ""
        array_sha256 = str(item.get("sha256", ""))
        meant = exemplars.recorded(str(item["exemplar"]), file_sha256=sha256, array_sha256=array_sha256)
        return {"path": str(meant), "sha256": sha256}
    if not isinstance(file, dict) or not file.get("path"):
        raise InvalidInput(
            f"The recipe's input {port!r} did not come from a file.",
            hint=f"Name one with --{port.replace('_', '-')} FILE.",
            field=port,
        )
    folder = recipe_path if recipe_path and recipe_path.is_dir() else (recipe_path or Path()).parent
    was = Path(file["path"])
    places = [was, folder / was, folder / was.name]
    if was.parent.name == exemplars.FOLDER.name:  # version 0.1 noted where on its disk a shipped exemplar was
        places.append(exemplars.recorded(was.stem, file_sha256=str(file.get("sha256", ""))))
    found = next((place for place in places if place.exists()), was)
    return {"path": str(found), "sha256": str(file.get("sha256", ""))}


def shipped_exemplar(name: str) -> Path | None:
    """The file of an exemplar that ships with Relievo, by its name ("alpine"); None where a file is meant."""
    if "." in name or "/" in name or "\\" in name or Path(name).exists():
        return None
    return exemplars.path(name) if name in exemplars.NAMES else None


def check_digest(port: str, item: dict[str, Any], kind: ArrayKind | None = None) -> None:
    """Notes the file's digest in the item. kind: what the port takes, which says what of a folder counts. Raises InvalidInput where
    a recipe's file has changed."""
    path = Path(item["path"])
    if not path.exists() or is_special(path):
        return  # the reader says what is wrong with it, better
    digest = file_digest(path, kind)
    if item["sha256"] and item["sha256"] != digest:
        raise InvalidInput(
            f"{path} has changed since the recipe was written, so the result would differ.",
            hint=f"Restore the old file, or use this one explicitly with --{port.replace('_', '-')} {path}.",
            field=port,
        )
    item["sha256"] = digest


def file_digest(path: Path, kind: ArrayKind | None = None) -> str:
    """SHA-256 of a file; of a folder of cameras or of a material's maps, or of a file that has others beside it, that of all of
    them in turn."""
    if kind is TEXTURE_SET and path.is_dir():
        from backend.files import texture_sets  # with rasterio behind it, which --help does without

        parts = texture_sets.files_of(path)
    else:
        parts = files_of(path) if path.is_dir() else (path,)
    if len(parts) == 1 and not path.is_dir():
        return digests.of_file(path)
    return hashlib.sha256("".join(f"{part.name} {digests.of_file(part)} " for part in parts).encode()).hexdigest()


def with_files(recipe: Mapping[str, Any], request: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as run writes it: the algorithm's own, and where each input came from and how it was read."""
    completed = {
        port: [{**item, **_origin(taken)} for item, taken in zip(items, request["inputs"][port], strict=True)]
        for port, items in recipe["inputs"].items()
    }
    return {
        **recipe,
        "inputs": completed,
        "reading": request["reading"],
        "formats": request["formats"],
        "outputs": outputs,
    }


def _origin(taken: Mapping[str, Any]) -> dict[str, Any]:
    if "recipe" in taken:
        return {"recipe": taken["recipe"], "port": taken["port"]}
    if taken.get("absent"):
        return {"absent": True}
    path = Path(taken["path"]).resolve()
    if exemplars.is_shipped(path):  # found again by its name, on any machine
        return {"exemplar": path.stem, "file": {"path": path.name, "sha256": taken["sha256"]}}
    return {"file": {"path": str(path), "sha256": taken["sha256"]}}


def linked(steps: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """One recipe of a chain of steps: an input that an earlier step made carries that step's recipe, so that the last repeats all.

    outputs: for each step but the last the digests of its outputs by port.
    """
    made: list[dict[str, Any]] = []
    for step in steps:
        inputs = {
            port: [{**item, **_maker(item, made, outputs)} for item in items]
            for port, items in step.get("inputs", {}).items()
        }
        made.append({**step, "inputs": inputs})
    return made[-1]


def _maker(
    item: Mapping[str, Any], made: Sequence[dict[str, Any]], outputs: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    for recipe, its_outputs in zip(made, outputs, strict=False):
        for port, digest in its_outputs.items():
            if digest == item.get("sha256"):
                return {"recipe": recipe, "port": port}
    for edition, names in ((exemplars.EDITION, exemplars.NAMES), (1, exemplars.FIRST_NAMES)):
        for name in names:
            there = exemplars.path(name, edition).is_file()
            if there and exemplars.load(name, edition).sha256 == item.get("sha256"):
                return {"exemplar": name}
    return {}
