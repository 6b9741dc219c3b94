"""Prediction of volumes: slice by slice, with one label volume, and words per slice and for the volume.

`targets` finds volumes, `prediction` predicts one, `words` and `smoothing` join its slices, `writers` and
`volumes_file` are its outputs, and `batch` predicts many to files.
"""
