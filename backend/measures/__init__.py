"""Judging results: figures that tests, benchmarks and training share."""
