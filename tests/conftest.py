"""What all tests may use: simulated time for trio; and no example of hypothesis races a clock."""

from hypothesis import settings

pytest_plugins = ["sim.pytest_plugin"]

settings.register_profile("meshd", deadline=None)
settings.load_profile("meshd")
