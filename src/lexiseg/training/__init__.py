"""Training: its configuration, plan and loop, from a data set to a run folder.

`train` is the entry; `plan` settles what is trained on what, `loop` trains and completes the run, with
`segmentation_module` as the step and `lightning_fit` as the runner.

Words: `text_source`, `text_supervision`, `description_words`. Images: `examples`, `sampler`,
`data_loaders`, `sample_cache`, `picture_fit`, `corruption`. Images without a mask: `unmasked_images`,
`teachers`, `pseudo_labelling`, `pseudo_labels`, `word_maps`. Finished runs as teachers: `teacher_runs`,
`distillation`. Several devices: `ranks`, `global_batch`. The machine: `memory`, `step_times`, `resources`, `forecast`,
`shared_memory`. After the training: `validate`, `zone_atlas`.
"""
