"""Height maps: noise, depressions, flow routing, drainage, erosion."""
