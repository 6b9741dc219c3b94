"""`python -m lexiseg` is the command `lexiseg`."""

from lexiseg.cli import main

main()
