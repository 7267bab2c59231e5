"""The parts of hydrology (algorithms/hydrology.py)."""
