"""The devices that a plain form is tried on: the CPU, and a CUDA card where the machine has one."""

from __future__ import annotations

import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
