"""The report parser, and the grouping of sentences that follow no known grammar.

`reports` is the entry. `lexicon` makes words of a sentence, `statements` its statements, `mentions` and
`phrase_matches` what these say of factors, `region_reader` of regions. `language` holds words as data.
Prediction never imports it.
"""
