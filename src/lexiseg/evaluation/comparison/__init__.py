"""Several runs on the same cases.

`compare` compares two runs; `comparison_file` is what it writes, `page` shows it, and `change_figures`
draws the cases that changed. `run_table` evaluates several runs into one table. `tables` reads tables of
cases and groups them.
"""
