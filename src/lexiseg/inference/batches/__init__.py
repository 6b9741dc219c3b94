"""Predictions of many images, written to files.

`batch` predicts them: `batch_job` says how, `batch_work` brings each image to its files, `image_writing`
calls the writers. `batch_summary` holds the counts of images, and `counts` what those of volumes have in
common with them. An interrupted batch goes on if its job is the same.

For large jobs: `forecast` tells what a batch would do, `shards` are parts of a job, `inputs_digest` tells
whether results are those of a command. `ray_predictor` predicts on a cluster, with `ray_messages`.
"""
