"""Training: its configuration, plan and loop, from a data set to a run folder.

`train` is the entry; `preparation` and `plan` settle what is trained on what, `resume` for a run that is
continued, `loop` trains and completes the run. `run_lock` keeps other processes away from its folder.

Before the first step: `options`, `config`, `config_changes` and `idle_settings` for the configuration,
`checks`, `unmasked_images` for the images that take part, `fit_choice`, and `text_supervision` with
`text_source` and `description_words` for the words. `forecast` tells what a training would do. After the last
step: `validate`, `zone_atlas`.

`inputs` makes batches, `steps` learns from them, on a `machine` or `distributed` over several. Masks are
drawn before the first step, in the `drawing_time`, where runs teach by `distillation` and for
`few_masks`; `soft_masks` stores them.

Three things teach a network: a text supervisor (`lexiseg.models.text_supervisor`) its words, labellers the
masks of images without one, and teachers, which are finished runs. What Lexiseg prints and stores calls the
labellers teachers too.
"""
