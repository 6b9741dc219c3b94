"""Folder layouts: a module per layout, listed in `registry`; `open_dataset` opens a folder in any of them.

`layout`, `dataset_folder` and `scan` say what a layout is, what it gets and what it finds. `pairing`,
`sheets`, `case_facts` and `assemble` hold the steps that layouts share;
`folder_pairs` collects what folders hold.
"""
