"""Output formats by name, and what their files are called. No writer is loaded here.

`output_format` defines a format, `registry` lists all formats with what other packages need to know of them.
`file_names` names the files that hold the results of all images. `earlier_outputs` recognises what an earlier
prediction wrote.
"""
