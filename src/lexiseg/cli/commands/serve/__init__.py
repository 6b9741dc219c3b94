"""The command `lexiseg serve`.

`command` starts the server, `options` and `limits` are its options, and `result` is what --json prints.
"""
