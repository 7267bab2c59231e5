"""The connection to the backend and the jobs on it. No bpy."""
