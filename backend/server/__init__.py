"""The server: speaks the protocol, keeps jobs on disk, hands them to worker processes. Never imports torch, except in worker.py."""
