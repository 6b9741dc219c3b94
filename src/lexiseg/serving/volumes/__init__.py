"""Volumes of jobs: read in a process of their own, slice by slice, within the limits of the server."""
