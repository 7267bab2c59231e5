"""Finished jobs and previews into the scene."""
