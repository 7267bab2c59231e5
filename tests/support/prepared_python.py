"""`python -m backend` in processes of their own that need not import torch, numba, scipy and rasterio first: most of what a short
command takes. A hundred and more tests run one.

A process imports those libraries, and nothing of ours, and forks for each command. The fork has the command's arguments, working
folder, environment, output and exit status, and ends as any process does. What is about the start itself belongs into a process
from scratch.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_READ_AT_IMPORT = ("GOMP_", "NUMBA_", "OMP_", "PYTHON")  # variables of which each value needs a process of its own

# a byte with three open files asks for a command: its words, where its output goes, where its errors go
_PREPARED = """
import gc, importlib, json, os, runpy, socket, sys
for name in ("torch", "numba", "scipy.ndimage", "rasterio", "OpenEXR"):
    importlib.import_module(name)
gc.freeze()  # or a fork copies pages for the marks of the garbage collection
door = socket.socket(fileno=int(sys.argv[1]))
while files := socket.recv_fds(door, 1, 3)[1]:
    child = os.fork()
    if child == 0:
        break
    for file in files:
        os.close(file)
    door.sendall(b"%4d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
else:
    sys.exit()
door.close()
with open(files[0], encoding="utf-8") as request:
    wanted = json.load(request)
for number, file in enumerate(files[1:], 1):
    os.dup2(file, number)
    os.close(file)
os.chdir(wanted["cwd"])
os.environ.clear()
os.environ.update(wanted["env"])
sys.path[0], sys.argv = wanted["cwd"], ["backend", *wanted["words"]]
runpy.run_module("backend", run_name="__main__", alter_sys=True)
"""


def run(words: Sequence[object], *, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `python -m backend WORDS` prints, and its exit status."""
    command = [str(word) for word in words]
    if not hasattr(os, "fork"):
        return subprocess.run(
            [sys.executable, "-m", "backend", *command], cwd=cwd, env=env, capture_output=True, text=True
        )
    kept = {name: value for name, value in env.items() if name.startswith(_READ_AT_IMPORT)}
    door = _prepared(tuple(sorted(kept.items())))
    with (
        tempfile.TemporaryFile("w+") as request,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        json.dump({"words": command, "cwd": str(cwd), "env": dict(env)}, request)
        request.seek(0)
        socket.send_fds(door, [b"!"], [file.fileno() for file in (request, output, errors)])
        status = door.recv(4, socket.MSG_WAITALL)
        assert status, "the prepared process has ended"
        said = [(file.seek(0), file.read().decode(errors="replace"))[1] for file in (output, errors)]
    return subprocess.CompletedProcess(["backend", *command], int(status), *said)


@cache
def _prepared(variables: tuple[tuple[str, str], ...]) -> socket.socket:
    """The connection to a process that waits for commands; it ends when the connection does, at the latest with this process."""
    here, there = socket.socketpair()
    with there:
        subprocess.Popen(
            [sys.executable, "-c", _PREPARED, str(there.fileno())],
            env={**os.environ, **dict(variables)},
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return here
