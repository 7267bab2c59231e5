"""How landscapes form: the rules behind the exemplars that ship, by what shapes the ground."""
