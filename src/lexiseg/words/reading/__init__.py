"""The report parser, and the grouping of sentences that follow no known grammar."""
