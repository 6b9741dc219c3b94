"""Words: vocabularies, descriptions, measuring of words on masks, flips, the side check; the report parser."""
