"""`python -m meshd.cli`: how `meshd up --detach` starts its daemon."""

from meshd.cli import main

main()
