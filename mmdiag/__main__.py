"""`python -m mmdiag` is the command line."""

from mmdiag.cli import main

main()
