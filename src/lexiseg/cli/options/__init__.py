"""What all commands share of the command line: how options are declared, read, explained and refused.

`common` and `volumes` hold the options of several commands. `registration` adds a command, with its
`examples`, and `flag_help` is how typer shows and reads it. `empty_values` and `option_errors` refuse what
cannot be meant.
"""
