"""Where inputs come from: from settings or a recipe to arrays."""
