"""What all tests may use: simulated time for trio."""

pytest_plugins = ["sim.pytest_plugin"]
