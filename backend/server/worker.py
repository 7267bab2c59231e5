"""One process that computes, on one device, one job at a time, and stays warm between jobs.

Started by worker_pool.py as `python -m backend.server.worker`. Its orders come over a ZeroMQ socket on loopback, as JSON;
arrays pass through the job's folder on disk. Standard input carries the first line of settings and then nothing: when
it ends, the server is gone and so is this process. It never speaks to a client and decides nothing about jobs.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import zmq

from backend.server.job import error_json
from shared.algorithm import Arrays
from shared.arrays import Array
from shared.codec import encode
from shared.devices import AUTO
from shared.errors import JobCancelled, RelievoError
from shared.messages import Preview
from shared.params import describe, with_role

log = logging.getLogger("backend.server.worker")

EXIT_NO_DEVICE = 78  # sysexits.h EX_CONFIG: starting again would not help
EXIT_LOST_DEVICE = 69  # sysexits.h EX_UNAVAILABLE: the next process gets the device anew
NICENESS = 5  # the server and Blender come first: an answer in time is worth more than a per cent of speed


class Worker:
    """Takes orders until it is killed, or a job has lost the device. One job at a time; a cancel is read between two steps of the
    algorithm."""

    def __init__(self, socket: zmq.Socket, device: str) -> None:
        self._socket = socket
        self._device = device
        self._job = ""
        self._is_over = False  # whether this process can use its device no more
        self._cancelled = self._kept = False

    def run(self) -> NoReturn:
        while not self._is_over:
            order = json.loads(self._socket.recv())
            if order["do"] == "compute":
                self._compute(order)
            # a cancel for a job that has just ended is late, and means nothing
        sys.exit(EXIT_LOST_DEVICE)

    def _compute(self, order: Mapping[str, Any]) -> None:
        self._job, self._cancelled, self._kept = order["job"], False, False
        try:
            self._compute_and_store(order)
            self._say("done")
        except JobCancelled:
            self._say("cancelled")
        except RelievoError as error:
            self._say("failed", error=error_json(error))
        except Exception as error:  # what nobody foresaw ends this job, not the process and with it what is warm
            from backend.runtime.compute import as_relievo_error

            self._say("failed", error=error_json(as_relievo_error(error, "The computing process")))
        gc.collect()

    def _compute_and_store(self, order: Mapping[str, Any]) -> None:
        from backend.runtime import registry
        from backend.runtime.compute import as_relievo_error, compute, job_seed
        from backend.runtime.context import JobContext
        from backend.runtime.previews import Previews
        from backend.server import job_files
        from shared.params import parse

        spec = registry.find_algorithm(order["algorithm"])
        folder = Path(order["folder"])
        params = parse(spec.params, order["params"])
        try:
            arrays = job_files.read_inputs(folder)
        except OSError as error:
            raise as_relievo_error(error, spec.label) from error
        viewer = Previews(spec, _pixel_size_m(arrays, params), self._show) if order["preview"] else None
        job = JobContext(
            seed=job_seed(params),
            device=self._device if order["device"] == AUTO else order["device"],
            usable_devices=(self._device, "cpu"),
            on_progress=self._report,
            on_preview=viewer,
            is_cancelled=self._is_cancelled,
            is_kept=lambda: self._kept,
        )
        job.step(0, 1, "starting")  # a job that was cancelled on its way here
        try:
            computed = compute(spec, params, arrays, job)
        finally:
            self._is_over = job.device_is_lost
        job_files.write_result(folder, computed.outputs, computed.recipe)

    def _is_cancelled(self) -> bool:
        while self._socket.poll(0):
            order = json.loads(self._socket.recv())
            if order["do"] == "cancel" and order["job"] == self._job:
                self._cancelled, self._kept = True, bool(order["keep"])
        return self._cancelled

    def _report(self, done: int, total: int, stage: str, remaining_s: float | None) -> None:
        self._say("progress", done=done, total=total, stage=stage, remaining_s=remaining_s)

    def _show(self, arrays: dict[str, Array]) -> None:
        """The frames that the server passes on to the client without looking inside."""
        head = json.dumps({"say": "preview", "job": self._job}).encode()
        self._socket.send_multipart(
            [head, *encode(Preview(job=self._job, arrays={port: (array,) for port, array in arrays.items()}))]
        )

    def _say(self, what: str, **values: Any) -> None:
        self._socket.send(json.dumps({"say": what, "job": self._job, **values}).encode())


def _pixel_size_m(arrays: Arrays, params: Any) -> float:
    """Metres a pixel of what the job makes: its first input's, or its parameter's where it makes something out of
    nothing.
    """
    for given in arrays.values():
        for array in given:
            if "pixel_size_m" in array.attributes:
                return array.pixel_size_m
    return next((float(getattr(params, entry.name)) for entry in with_role(describe(type(params)), "pixel_size")), 1.0)


def _end_with_server(server_pid: int) -> None:
    """Make sure that this process does not outlive the server, however the server ends."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != server_pid:  # it ended before prctl was called
            os._exit(1)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, name="server-watch", daemon=True).start()


def main() -> None:
    settings = json.loads(_read_line())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when we stop
    _end_with_server(settings["server_pid"])
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # pyright: ignore[reportAttributeAccessIssue]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    from backend.runtime.device import describe_device, device_names, pick_device

    try:
        device = str(pick_device(settings["device"]))
    except RelievoError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_NO_DEVICE)
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 1000)
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.curve_serverkey = settings["key"].encode()
    socket.connect(settings["address"])
    devices = [describe_device(name) for name in device_names()]
    socket.send(json.dumps({"say": "ready", "token": settings["token"], "device": device, "devices": devices}).encode())
    Worker(socket, device).run()


def _read_line() -> bytes:
    """The first line of standard input, byte by byte: a buffered reader would keep the watch thread from seeing its
    end.
    """
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise SystemExit("backend.server.worker is started by the backend, not by hand")
        line += byte
    return line


if __name__ == "__main__":
    main()
