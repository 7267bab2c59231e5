"""`serve`: the backend as Blender uses it. Everything behind the options is backend/server/server.py's work."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from backend.cli import PROGRAM, Parser

DESCRIPTION = """The backend for Blender: waits for jobs and computes them, until it is interrupted.

By default it listens on this machine only, on a free port, and writes the address and a secret into a
connection file that the add-on finds; what goes over the connection is encrypted, with keys that are new at
each start. For another machine use --host and --curve, which keeps the keys: without it a public address
is refused. Several people share a backend with one --user NAME each."""


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog=f"{PROGRAM} serve", usage=f"{PROGRAM} serve [options]", description=DESCRIPTION)
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on [default: 127.0.0.1]"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port to listen on [default: 0, a free one]")
    parser.add_argument(
        "--curve",
        action="store_true",
        help="keep the same encryption keys from start to start, as clients on other machines need it",
    )
    parser.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help="compute on this device if an algorithm supports it, else on the CPU; may be repeated [default: the fastest for each]",
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="folder of jobs, results and log [default: the user's data folder]"
    )
    parser.add_argument(
        "--endpoint", type=Path, metavar="FILE", help="connection file [default: endpoint.json in the state folder]"
    )
    parser.add_argument(
        "--user",
        action="append",
        metavar="NAME",
        help="write a connection file of their own for this person, endpoint-NAME.json, with a token and jobs of their own; "
        "may be repeated",
    )
    parser.add_argument(
        "--owner", default="", metavar="UUID", help="the client that starts the backend and may always end it"
    )
    parser.add_argument("--parent-pid", type=int, default=0, metavar="PID", help="end when this process ends")
    parser.add_argument(
        "--idle-exit", type=float, metavar="S", help="end after S seconds without a client or a job [default: never]"
    )
    parser.add_argument(
        "--max-bytes", type=_positive, metavar="N", help="bytes of finished results to keep [default: 20 GB]"
    )
    parser.add_argument(
        "--max-age", type=_positive, metavar="S", help="seconds to keep a finished result [default: 7 days]"
    )
    options = parser.parse_args(argv)

    from backend.server.server import serve

    # a limit that is not given is the server's own
    limits = {"max_bytes": options.max_bytes and int(options.max_bytes), "max_age_s": options.max_age}
    kept = {name: value for name, value in limits.items() if value is not None}
    return serve(
        host=options.host,
        port=options.port,
        curve=options.curve,
        devices=tuple(options.device or ()),
        state_dir=options.state,
        endpoint_path=options.endpoint,
        users=tuple(options.user or ()),
        starter=options.owner,
        parent_pid=options.parent_pid,
        idle_exit_s=options.idle_exit,
        **kept,
    )


def _positive(text: str) -> float:
    """argparse names the option and the value where this raises."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value
