"""`train MODEL` for any Training: its settings as options, --dry-run, --minutes, --out. A model's module calls main()."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from backend.cli import DONE, FAILED, INTERRUPTED, PROGRAM, Parser, answer
from backend.commands import flags
from backend.commands.progress_bar import Bar
from backend.training.loop import Leg, Limits, configuration, train
from backend.training.processes import Processes, of_environment
from backend.training.training import Training
from shared.errors import InvalidParameter
from shared.params import describe, parse


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Several trainings of one command, between which an option decides: --NAME with the names of `kinds`, the first by default.

    command: what follows `train` on the command line.
    """

    command: str
    name: str
    help: str
    kinds: Mapping[str, type[Training]]


def main(kind: type[Training] | Choice, argv: Sequence[str] | None = None) -> int:
    """Exit status of a leg: DONE also where --minutes ended it before the last step; errors print as in the command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return answer(lambda: _told_once(kind, arguments), debug="--debug" in arguments)


def _told_once(which: type[Training] | Choice, argv: Sequence[str]) -> int:
    """Where several processes train together and one fails, all end, and one says why."""
    processes = of_environment()
    try:
        return _leg(which, argv, processes)
    except Exception:
        if processes.tells_of_a_failure():
            raise
        return FAILED


def _leg(which: type[Training] | Choice, argv: Sequence[str], processes: Processes) -> int:
    kind, options = parsed(which, argv)
    if options.steps < 1 or options.minutes < 0 or options.checkpoint_every < 1 or options.sample_every < 0:
        raise InvalidParameter(
            "--steps and --checkpoint-every must be 1 or more, --minutes and --sample-every 0 or more."
        )
    params = parse(kind.params_type, flags.given(options, flags.PARAM))
    limits = Limits(
        steps=options.steps,
        minutes=options.minutes,
        checkpoint_every=options.checkpoint_every,
        sample_every=options.sample_every,
    )
    device = processes.device(options.device)
    if options.dry_run:
        if processes.is_first:
            settings = configuration(kind, params, seed=options.seed, steps=limits.steps, processes=processes.count)
            print(json.dumps({**settings, "device": str(device), "out": str(options.out), **asdict(limits)}, indent=1))
        return DONE
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not processes.is_first:
        logging.disable(logging.WARNING)  # the first says the same
    try:
        with Bar(kind.name, quiet=options.quiet or not processes.is_first) as bar, processes.connected(device):
            leg = train(
                kind, params, options.out, limits, seed=options.seed, device=device, progress=bar, processes=processes
            )
    except (KeyboardInterrupt, SystemExit):
        if processes.is_first:
            print(f"{options.out}: interrupted, and saved. Run the same command again to continue.", file=sys.stderr)
        return INTERRUPTED
    if processes.is_first:
        _tell_end(leg, options.out, limits, processes.described(device))
    return DONE


def _tell_end(leg: Leg, out: Path, limits: Limits, device: str) -> None:
    rate = (leg.last_step - leg.first_step) / max(leg.seconds, 1e-9)
    print(f"{out}: step {leg.last_step} of {limits.steps}, {rate:.3g} steps per second on {device}")
    if not leg.finished:
        print("Run the same command again to continue.")


def parsed(which: type[Training] | Choice, argv: Sequence[str]) -> tuple[type[Training], argparse.Namespace]:
    """The training that the options choose, and those options, which are the training's own."""
    if not isinstance(which, Choice):
        return which, parser(which).parse_args(argv)
    first = Parser(prog=f"{PROGRAM} train {which.command}", add_help=False)
    _add_choice(first, which)
    name = getattr(first.parse_known_args(argv)[0], which.name)
    made = parser(which.kinds[name], which.command)
    _add_choice(made.add_argument_group("model"), which)
    return which.kinds[name], made.parse_args(argv)


def _add_choice(made: argparse._ActionsContainer, which: Choice) -> None:
    names = list(which.kinds)
    text = f"{which.help}: {', '.join(names)}; each has its own options [default: {names[0]}]"
    made.add_argument(f"--{which.name}", choices=names, default=names[0], metavar="NAME", help=text)


def parser(kind: type[Training], command: str = "") -> Parser:
    """command: what follows `train`, where it is not the training's own name."""
    prog = f"{PROGRAM} train {command or kind.name}"
    made = Parser(
        prog=prog,
        usage=f"{prog} [options]",
        description=(kind.__doc__ or "").partition("\n")[0],
    )
    flags.add_parameters(made, describe(kind.params_type))
    group = made.add_argument_group("this run")
    group.add_argument(
        "--out",
        type=Path,
        default=Path("out") / "train" / kind.name,
        metavar="DIR",
        help="run folder [default: %(default)s]",
    )
    group.add_argument(
        "--steps", type=int, default=kind.steps, metavar="N", help="of the training in all [default: %(default)s]"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="random seed [default: 0]")
    group.add_argument(
        "--minutes", type=float, default=0.0, metavar="M", help="stop after M minutes; 0: no limit [default: 0]"
    )
    group.add_argument(
        "--checkpoint-every", type=int, default=500, metavar="N", help="steps between checkpoints [default: 500]"
    )
    group.add_argument(
        "--sample-every",
        type=int,
        default=0,
        metavar="N",
        help="steps between sample sheets; 0: only at the end [default: 0]",
    )
    group.add_argument(
        "--device",
        default=best_device(),
        metavar="NAME",
        help="cpu, cuda:0, mps; started by torchrun: cuda for a card per process, or cpu [default: %(default)s]",
    )
    group.add_argument("--dry-run", action="store_true", help="print the resolved configuration as JSON and stop")
    group.add_argument("--quiet", action="store_true", help="no progress")
    return made


def best_device() -> str:
    """Training pays on any card, whatever the engines do."""
    return "cuda" if torch.cuda.is_available() else "cpu"
