"""A child process of kernel_compiler.py: compiles one kernel after the other into numba's cache. It runs none.

Orders are lines of JSON on standard input, answers lines on standard output: {"part": name} for every function that numba has
compiled, then {"error": ""} or what went wrong. When standard input ends, so does the process, in the midst of a kernel too.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import queue
import signal
import sys
import threading
from typing import Any


def types_of(signature: str) -> Any:
    """numba's types from their names, which are constructor calls in its own namespace. Raises whatever is wrong with them."""
    from numba import types

    names: dict[str, Any] = {name: getattr(types, name) for name in dir(types) if not name.startswith("_")}
    names |= {"bool": types.boolean, "omitted": lambda default: types.Omitted(default)}
    return eval(signature, {"__builtins__": {}}, names)


def compile_kernel(module: str, function: str, signature: str) -> None:
    """Compile one kernel, or load it where somebody else has. Raises ValueError for other types than those given."""
    kernel = getattr(importlib.import_module(module), function)
    types = types_of(signature)
    if f"({', '.join(map(repr, types))},)" != signature:
        raise ValueError(f"{signature} cannot be read back")
    kernel.compile(tuple(types))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when we stop
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer

    def say(**values: Any) -> None:
        os.write(answers, json.dumps(values).encode() + b"\n")

    orders: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            orders.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, name="orders", daemon=True).start()

    from numba.core import event

    class Parts(event.Listener):
        def on_start(self, event: Any) -> None:
            pass

        def on_end(self, event: Any) -> None:
            say(part=event.data["dispatcher"].py_func.__name__)

    event.register("numba:compile", Parts())
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # numba makes millions of objects, and hardly any garbage in circles
    while True:
        order = orders.get()
        try:
            compile_kernel(order["module"], order["function"], order["signature"])
            say(error="")
        except Exception as error:  # whatever numba raises: the parent compiles it itself, and shows what comes of that
            say(
                error=f"{order['module']}.{order['function']}: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
            )


if __name__ == "__main__":
    main()
