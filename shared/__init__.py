"""What both sides agree on: arrays, parameters, algorithms, messages, jobs.

Standard library and NumPy only, relative imports only: Blender's Python and the backend's import the same files.
"""
