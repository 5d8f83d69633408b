"""Scenarios: what is asked of a mesh, read from TOML, and what will be done to it, step by step."""
