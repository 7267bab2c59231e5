"""The networks that learn terrain, one Training each, and the parts that only they need."""
