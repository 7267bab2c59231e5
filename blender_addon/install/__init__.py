"""The backend on this machine: installing it, and running it as a process. No bpy."""
