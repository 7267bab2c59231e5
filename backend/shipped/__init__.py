"""What ships beside the code, each with its recipe: exemplar height maps, and weights with their model cards."""
