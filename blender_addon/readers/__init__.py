"""Scene and mesh -> arrays, top row first and in metres. Nothing in here changes the scene."""
