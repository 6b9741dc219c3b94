"""Decoding by container: opening, TIFF, deep PNG, and the way from stored pixels to 8 bits.

`lexiseg.data.decode` decodes whole files with them.
"""
