"""What makes the data and weights that ship."""
