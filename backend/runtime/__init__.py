"""What runs one job, wherever it runs: device, memory, randomness, progress, and the engine's code by its name."""
