"""Where images come from besides files and folders: archives, DICOMDIR and DICOMweb services.

`local_sources` turns all of them into files of this computer: `dicomweb_source` copies images of a service,
and `media_directory` reads the index of a disc.
"""
