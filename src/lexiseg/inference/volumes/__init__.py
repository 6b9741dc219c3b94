"""Prediction of volumes: slice by slice, with one label volume, and words per slice and for the volume.

`targets` finds volumes, `volume_inputs` those at the paths of a caller. `prediction` predicts one, `words`
and `smoothing` join its slices. `volume_writer` defines a writer, and `writers` finds those of the
formats: `nifti_writer`, `dicom_writers` with `series_content` and `series_slice_objects`, and
`picture_writers` with `pictures` and `contact_sheet`. `volumes_file` is its record, and `batch` predicts many
to files, with `volume_job`, `volume_lines` and `volume_summary`.
"""
