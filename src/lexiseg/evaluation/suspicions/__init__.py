"""Masks and reports of a data set that look wrong to a run that did not learn from them.

`find` looks for them by their `signs`; `ranking` orders cases and `reasons` says why. `suspicion_file` is
what is written, and `page` shows it.
"""
