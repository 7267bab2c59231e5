"""The parts of the scan texture engine (algorithms/scan_texture.py)."""
