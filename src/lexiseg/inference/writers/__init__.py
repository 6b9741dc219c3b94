"""Output formats of a batch of predictions, one module per format.

`base` defines a writer, `output_format` defines a format, and `registry` lists the formats with all that
other packages need to know of them. `records` and `parquet` write one file for all images, the other formats
one file per image; `tar` packs these. A new format is a module, and an entry in `registry`.
"""
