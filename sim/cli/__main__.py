"""`python -m sim.cli`: the same as `meshsim`. A sweep's workers import it and must not run it."""

from sim.cli import main

if __name__ == "__main__":
    main()
