"""The parts of relief transfer (algorithms/morphology.py)."""
