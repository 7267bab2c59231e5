"""Environments, their check-up, and kernels compiled ahead of time."""
