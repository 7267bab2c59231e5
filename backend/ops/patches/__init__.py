"""Patch statistics of heights and colours: transport, nearest patches, spectrum."""
