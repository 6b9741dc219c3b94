"""`report.html`, and the parts that the pages of other results share with it.

`page` puts the report together, with its `captions`, its `findings` and the table of all cases
(`case_rows`). `figures` draws scores, `case_figures` and `case_picture` draw cases. `training_curves` and
`training_trend` are the curves of a training, and `interval_axis` the axis of intervals in a table.
"""
