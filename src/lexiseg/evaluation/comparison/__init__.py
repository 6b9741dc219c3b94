"""Several runs on the same cases.

`compare` compares two runs; `comparison_file` is what it writes, `page` shows it, and `change_figures`
draws the cases that changed; `extreme_cases` are those that differ most. `run_table` evaluates several
runs into one table.
"""
