"""Sentences to words: the report parser, and the grouping of sentences that follow no known grammar."""
