"""Readers of public data sets, one for each form of publication.

`source` says what a reader returns. `masks` and `volumes` hold steps that readers share, `split_choice`
chooses the split of each case, and `write` writes the result as a data set.
"""
