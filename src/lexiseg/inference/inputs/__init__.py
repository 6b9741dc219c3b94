"""What is predicted: one image for the predictor, and the images of a batch.

For the predictor: `image_inputs` takes an image in any form, and `image_reading` reads files ahead.

For a batch: a `target` is one image, a `volume_target` one volume, and `target_list` holds a million images.
`target_search` finds images by `folder_walk`, in `tar_archives` and at URLs; it leaves out
`duplicate_targets` and masks of data sets (`mask_folders`), and counts `unread_files`. `target_names` names
the outputs. `image_sources` are images that are no files of this computer; `temporary_images` copies them
while a batch works.
"""
