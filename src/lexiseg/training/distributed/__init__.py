"""One training in several processes, on several devices.

`ranks` starts and joins the processes, `joining` says how long they wait for each other, `lost_ranks` what is
said where one is lost. `global_batch` lets losses and batch norms see the images of all.
"""
