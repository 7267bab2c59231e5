"""Feature statistics: extractors, losses, and descent on them."""
