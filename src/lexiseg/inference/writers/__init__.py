"""Writers of predictions, one module per output format.

`base` defines a writer, and `loading` makes writers by the names of their formats, which
`lexiseg.inference.formats.registry` lists. `records` and `parquet` write one file for all images, the other
formats one file per image; `tar` packs these. `dicom_objects` and `dicom_content` are common to the formats
of DICOM objects; `nifti_kind` chooses the kind of a NIfTI file. A new format is a module here, and an entry
in that registry.
"""
