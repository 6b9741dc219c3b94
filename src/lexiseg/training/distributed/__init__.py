"""One training in several processes, on several devices.

`ranks` starts and joins the processes, `lost_ranks` says which one is lost, `global_batch` lets losses and
batch norms see the images of all.
"""
