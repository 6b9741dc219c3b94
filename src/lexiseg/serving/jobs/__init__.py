"""Jobs: many images, predicted in the background, with their outputs as one zip file.

`job` is one, `job_list` all of a server. `job_inputs` takes uploads, and `work` predicts them.
"""
