"""`python -m backend`: the command line."""

from __future__ import annotations

import os
import sys

from backend.cli import INTERRUPTED, main

if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as end:  # SIGTERM, among others
        code = end.code
    if (isinstance(code, int) and code >= 128) or code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code))  # whoever interrupts waits for no library to be unloaded and no thread to end its piece
    sys.exit(code)
