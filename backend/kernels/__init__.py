"""Fast twins of ops, each tested equal to its op."""
