"""The parts of the texture engine."""
