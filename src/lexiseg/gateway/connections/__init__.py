"""Connections of sources and destinations: `tls_contexts` for DICOM, `web_session` for DICOMweb."""
