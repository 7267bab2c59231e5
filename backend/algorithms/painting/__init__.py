"""The parts of the painting engine."""
