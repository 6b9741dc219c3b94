"""Words: vocabularies, descriptions, measurement on masks, flips, the side check, the report parser.

`vocabulary` and `factor` say what can be said, `description` what is said of one image. `measure` measures
it on a mask, with a class of `measure_rules` per kind of rule; `reading` reads it in report sentences, by
the `grammar`. `flips` and `flip_tables` mirror it, `side_convention` checks whose left is meant. `zones`,
`zone_atlas` and `zone_correction` say where in an image a phrase lies.

Words know nothing of files of images, networks or trainings.
"""
