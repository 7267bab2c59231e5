"""Declarations of the throw-away engines."""
