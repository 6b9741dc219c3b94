"""Words: vocabularies, descriptions, measurement on masks, flips, the side check, the report parser."""
