"""Sharing: runs as bundles and as repositories of a hub, and data sets as Croissant metadata.

`contents` says which files of a run are shared, `pack` makes one file of them and unpacks it, `repository`
sends them to the Hugging Face hub and fetches them, `monai` makes a MONAI bundle, and `croissant` describes a
data set. Nothing is sent anywhere unless a person asks for it.
"""
