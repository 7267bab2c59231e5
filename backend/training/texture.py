"""`train texture`: pictures to a generator that makes any amount of their texture. --architecture says which one learns.

compact             the default: small and fast, learns by sliced Wasserstein distances in minutes
spatial-gan         the spatial GAN as it was published, and with --reg its mode-regularised variant

The options that people know from the original work as well: --data_dir or --dataset, --model_dir, --reg, --is_train (False makes
textures with a trained model instead), --learning_rate, --batch_size, --num_layers, --max_iterations and others in ALIASES.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.cli import PROGRAM, Parser, answer
from backend.training.architectures.spatial_gan import SpatialGan
from backend.training.architectures.texture_compact import TextureCompact
from backend.training.command_line import Choice
from backend.training.command_line import main as command
from backend.training.training import Training
from shared.errors import InvalidParameter

ARCHITECTURES: Mapping[str, type[Training]] = {"compact": TextureCompact, "spatial-gan": SpatialGan}
ALIASES = {
    "--dataset": "--data-dir",
    "--model-dir": "--out",
    "--checkpoint-dir": "--out",
    "--learning-rate": "--rate",
    "--beta1": "--beta",
    "--l2-decay": "--l2",
    "--batch-size": "--batch",
    "--num-layers": "--layers",
    "--max-iterations": "--steps",
    "--checkpoint-interval": "--checkpoint-every",
}
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
CELLS = 36  # of noise along a side of what --is_train False makes


def main(argv: list[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    return answer(lambda: _main(words), debug="--debug" in words)


def _main(words: Sequence[str]) -> int:
    words = translated(words)
    words, is_train = without_switch(words, "--is-train", default=True)
    if not is_train:
        return _make(words)
    words, reg = without_switch(words, "--reg", default=False)
    if reg:
        words = [*words, "--reg"]
        if not any(word.partition("=")[0] == "--architecture" for word in words):
            words = ["--architecture", "spatial-gan", *words]
    choice = Choice(command="texture", name="architecture", help="which generator learns", kinds=ARCHITECTURES)
    return command(choice, words)


def translated(words: Sequence[str]) -> list[str]:
    """Options with hyphens and under this command's names."""
    made = []
    for word in words:
        name, mark, value = word.partition("=")
        if name.startswith("--"):
            name = name.replace("_", "-")
            name = ALIASES.get(name, name)
        made.append(name + mark + value)
    return made


def without_switch(words: Sequence[str], name: str, *, default: bool) -> tuple[list[str], bool]:
    """The words without a switch, and what it says: --name, --no-name, --name=False, --name False. Raises InvalidParameter."""
    rest, value, words = [], default, list(words)
    while words:
        word = words.pop(0)
        flag, mark, text = word.partition("=")
        if flag == f"--no-{name[2:]}" and not mark:
            value = False
        elif flag != name:
            rest.append(word)
        elif not mark and (not words or words[0].startswith("-")):
            value = True
        else:
            value = _truth(name, text if mark else words.pop(0))
    return rest, value


def _truth(name: str, text: str) -> bool:
    if text.lower() in (*YES, *NO):
        return text.lower() in YES
    raise InvalidParameter(f"{name} is {text!r}; it must be True or False.", field=name.strip("-").replace("-", "_"))


def _make(words: Sequence[str]) -> int:
    """--is_train False: textures of a model that has been trained, as the original makes them."""
    from backend.commands import run
    from backend.runtime.weights import load_trained

    parser = Parser(prog=f"{PROGRAM} train texture --is_train False", description="Textures of a trained model.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the training (--model_dir)")
    parser.add_argument("--generate-samples", type=int, default=1, metavar="N", help="how many textures [default: 1]")
    for side in ("width", "height"):
        parser.add_argument(
            f"--generate-{side}", type=int, default=CELLS, metavar="N", help=f"cells of noise [default: {CELLS}]"
        )
    parser.add_argument("--sample-dir", type=Path, default=Path("samples"), metavar="DIR", help="where they go")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first; each has another [default: 0]")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options, _ = parser.parse_known_args(words)  # a training's options are of no use here, as in the original
    file = options.out / "weights.safetensors"
    layers = int(load_trained(file).about.get("network", {}).get("layers", 5))
    width, height = (2**layers * (cells - 1) + 1 for cells in (options.generate_width, options.generate_height))
    status = 0
    for number in range(options.generate_samples):
        size = ["--width", str(width), "--height", str(height), "--tile", "none", "--seed", str(options.seed + number)]
        out = ["--out", str(options.sample_dir / f"test_{number}"), *(["--quiet"] if options.quiet else [])]
        status = run.main(["texture", "--model", str(file), *size, *out]) or status
    return status


if __name__ == "__main__":
    raise SystemExit(main())
