"""The lines of `predictions.jsonl`, one per image.

`predictions_file` defines them, `not_written` is the reason why an output is missing, and `partial_results`
finds the lines of an interrupted batch.
"""
