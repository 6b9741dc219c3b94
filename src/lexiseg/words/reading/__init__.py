"""The report parser, and the grouping of sentences that follow no known grammar.

`reports` is the entry. `lexicon` makes words of a sentence, `clause_boundaries` and `statements` its clauses,
`other_things` those without a noun of their own, `mentions` and `phrase_matches` what these say of factors,
`region_reader` of regions. `language` holds words as data. Prediction never imports it.
"""
