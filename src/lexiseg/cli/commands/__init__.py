"""The commands: a module per command, named after it, or a package for one of several modules.

Options that belong to one command lie beside it (`audit_options`, `train_options`). `convert`, `share` and
`token` hold several short commands; `data`, `predict` and `serve` are packages. `run_demo` is the work of
`demo`, and `watch_quarantine` that of `watch --quarantine`.
"""
