"""Folders that Lexiseg writes to: one process at a time, and nothing that it did not write is replaced.

`output_folder` is a folder of results, whose `manifest` knows what Lexiseg wrote. `new_folder` is for a
folder that must not exist yet. `folder_lock` keeps other processes out of both. `private_folder` is for what
must not stay.
"""
