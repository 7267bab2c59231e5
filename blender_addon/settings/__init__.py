"""Settings that are saved with a scene, made from the engines' declarations."""
