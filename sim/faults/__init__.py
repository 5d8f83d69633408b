"""Faults: what can go wrong in a simulated mesh, how it is drawn, and what it excuses."""
