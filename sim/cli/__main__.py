"""`python -m sim.cli`: the same as `meshsim`."""

from sim.cli import main

main()
