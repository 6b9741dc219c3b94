"""Where images come from besides files and folders: archives, DICOMDIR and DICOMweb services."""
