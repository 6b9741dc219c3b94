"""Public data sets: a registry of facts, downloads, and the conversion to the folder layout of Lexiseg.

`registry` holds the facts, a YAML file per data set. `download` fetches files, `importers` reads each form
of publication, and `dataset_import` puts both together.
"""
