"""Code of the throw-away engines."""
