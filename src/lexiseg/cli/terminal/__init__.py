"""How commands speak and end; nothing here knows an option or a command.

`output_mode` is what --quiet and --json choose, and `messages` and `progress` follow it. `result_tables` and
`side_lines` say what several commands have to say. `output_streams`, `signals` and
`failures` are the ways in which a command is cut short: a closed pipe, Ctrl-C, and a full disk.
"""
