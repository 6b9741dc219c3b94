"""Volumes of jobs: read in a process of their own, slice by slice, within the limits of the server.

`reading_process` is the process, `process_client` the side of the server. `isolated_volumes` and
`isolated_series` are volumes whose slices (`isolated_slices`) come from it; `isolated_headers` are the
headers of DICOM files.
"""
