"""`python -m streams.cli`: the same as the console script, for processes that start others."""

from streams.cli.app import main

main()
