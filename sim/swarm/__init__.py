"""Swarm: many drawn meshes under many drawn faults, and what to do with those that fail."""
