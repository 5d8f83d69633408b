"""What all tests may use: simulated time for trio. No example of hypothesis is held to a stop-watch."""

from hypothesis import settings

pytest_plugins = ["sim.pytest_plugin"]

settings.register_profile("meshd", deadline=None)
settings.load_profile("meshd")
