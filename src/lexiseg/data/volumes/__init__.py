"""Volumes: NIfTI, MetaImage and NRRD files and DICOM series, read slice by slice as they are displayed.

`volume` says what a volume is, `voxel_file` opens files with `nifti_file` and `itk_file`, `series_slices`
reads DICOM series. Files need the extra `volumes`, series the extra `dicom`.
"""
