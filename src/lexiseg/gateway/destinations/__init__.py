"""Where results go.

`destination` is what each of them has to do: `folder`, `dicom` (C-STORE), `dicomweb` (STOW-RS), and
`missing` for one that the configuration does not have any more. `delivery` is the worker that sends results
to one of them.
"""
