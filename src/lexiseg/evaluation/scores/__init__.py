"""Scores of one case and of all cases together, as numbers.

`metrics` scores a case, `cases` holds it, and `case_table` reads all of them back. `statistics` and `summary`
take cases together, by size with `lesion_sizes`. `retrieval` scores words, `reliability` probabilities.
`metrics_file` is what is written.
"""
