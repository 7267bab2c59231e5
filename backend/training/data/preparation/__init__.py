"""From a person's rasters to a pack: `relievo.py prepare terrain-data`, step by step."""
