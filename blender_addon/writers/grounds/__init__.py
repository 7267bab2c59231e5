"""Terrains that wear texture sets: a set's detail, how much of each set lies where, and nodes that grow them into each other."""
