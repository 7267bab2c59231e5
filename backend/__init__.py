"""The computing side of Relievo: torch lives here and nowhere else."""
