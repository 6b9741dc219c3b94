"""Masks and reports of a data set that look wrong to a run that did not learn from them.

`find` predicts each case with a run that did not learn it (`run_samples`), and writes what is found.
`case_check` compares the case with the prediction by their `signs`, and `report_words` tells which reports
are read. `ranking` orders cases and `reasons` says why. `suspicion_file` is the record, and `page` shows it.
"""
