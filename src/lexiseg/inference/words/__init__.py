"""The words of a prediction.

`retrieved_words` takes them from phrase probabilities, `word_sides` says them in the other side convention,
`report_draft` makes a sentence of them. `corrected_prediction` holds words that a person changed.
"""
