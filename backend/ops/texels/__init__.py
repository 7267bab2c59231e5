"""Textures of a scan: pyramid, observations, normal equations and their solver, sampling, losses."""
