"""A backend that says it has a card, on any machine: it speaks the protocol and gives every job the same flat terrain.

For what Blender shows of devices; what they compute is tested where there is one. Not a pytest file.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from blender_addon.link.connection import Place
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import height_map
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.codec import decode, encode
from blender_addon.shared.endpoint import Endpoint, write_endpoint
from blender_addon.shared.messages import (
    Accepted,
    Fetch,
    Finished,
    Hello,
    Message,
    Ping,
    Pong,
    Query,
    Release,
    Released,
    Result,
    Status,
    Submit,
    Welcome,
)
from blender_addon.shared.params import parse
from blender_addon.shared.recipe import make_recipe
from blender_addon.shared.version import PROTOCOL, VERSION

CPU = {"name": "cpu", "kind": "cpu", "label": "CPU", "memory_bytes": 2**34, "cores": 8}
CARD = {"name": "cuda:0", "kind": "cuda", "label": "NVIDIA RTX 4070", "memory_bytes": 12 * 2**30, "cores": 46}
SECOND = {**CARD, "name": "cuda:1"}
SESSION = "11111111-1111-4111-8111-111111111111"


class BackendWithCard:
    """`with BackendWithCard(folder) as backend:` listens at backend.place. ran_on, note: what its recipes say."""

    def __init__(self, folder: Path, devices: list[dict[str, Any]], *, ran_on: str = "cpu", note: str = "") -> None:
        self._devices, self._ran_on, self._note = devices, ran_on, note
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        file = folder / "with-card.json"
        write_endpoint(file, Endpoint(address=f"tcp://127.0.0.1:{port}", token="0" * 64))
        self.place = Place(endpoint_path=str(file))
        self._jobs: dict[str, Submit] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> BackendWithCard:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        self._context.destroy(0)

    def _serve(self) -> None:
        while not self._ends.is_set():
            if self._router.poll(20):
                client, *frames = self._router.recv_multipart()
                for answer in self._answers(decode(frames)):
                    self._router.send_multipart([client, *encode(answer)])

    def _answers(self, message: Message) -> list[Message]:
        fast = self._devices[0]["name"]
        auto = {spec.name: fast if spec.name == "terrain" else "cpu" for spec in ALGORITHMS}
        reply = {"reply_to": message.id}
        if isinstance(message, Hello):
            digests = {spec.name: spec.digest for spec in ALGORITHMS}
            said = {"protocol": PROTOCOL, "backend_version": VERSION, "session": SESSION, "digests": digests}
            return [Welcome(**reply, **said, devices=[])]  # as long as no worker is up
        if isinstance(message, Ping):
            return [Pong(**reply, session=SESSION, devices=self._devices, auto_devices=auto)]
        if isinstance(message, Submit):
            self._jobs[message.job] = message
            ended = Finished(job=message.job, state="succeeded", seconds=3.2)
            return [Accepted(**reply, job=message.job, state="queued"), ended]
        if isinstance(message, Fetch):
            return [self._result(message)]
        if isinstance(message, Release):
            return [Released(**reply, job=message.job)]
        return [Status(**reply, jobs=[])] if isinstance(message, Query) else []

    def _result(self, message: Fetch) -> Result:
        submitted = self._jobs[message.job]
        spec = find(ALGORITHMS, submitted.algorithm)
        recipe = make_recipe(spec, parse(spec.params, submitted.params), {}, device=self._ran_on)
        arrays = {"height": (height_map(np.zeros((32, 48), np.float32), 30.0),)}
        told = recipe | ({"device_note": self._note} if self._note else {})
        return Result(reply_to=message.id, job=message.job, recipe=told, arrays=arrays)
