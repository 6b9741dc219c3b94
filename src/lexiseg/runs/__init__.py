"""Run folders, the models that come with Lexiseg, and conversion of published checkpoints.

A run folder holds a trained model and what is known about it:

run.json              manifest: network, classes, words, side convention, data, training, format version
config.yaml           the resolved training configuration
weights.safetensors   the selected weights
bank.safetensors      phrases and their embeddings (absent where the model names no words)
zone_atlas.safetensors
                      where lesions lie in images with each phrase (absent where the words name no places)
history.csv           one row per validation
splits.json           image ids per split (absent in a run converted from a published checkpoint); "left_out"
                      names those of "train" that took no part, as they had no mask
image_hashes.json     SHA-256 of the training and validation image files (absent in runs that were shared, and
                      in runs of early versions)
pseudo_labels.safetensors
                      soft masks that teachers drew for images without mask (absent where these did not teach)
teachers/             weights and states of these teachers, until the training ends
masks.json            ids of the training images that had a mask (absent where all had)
calibration.json      temperature and review rule (absent until `lexiseg calibrate` fits them)
model.onnx            the network for the engine onnx (absent until `lexiseg export`)
model.openvino        the network for the engine openvino (absent until `lexiseg export --to openvino`)
training_images.safetensors
                      what the training images look like, so that images unlike them are noticed (absent
                      where there are fewer than 20 training or validation images)
model_card.md         what the model is, what it was trained on, how well it does on validation
checkpoint.ckpt       training state, for --resume

Modules: `manifest`, `splits` and `image_hashes` hold the typed contents of the JSON files, `run` opens a
folder, `learned_images` says which images of a data set a run has learned from, `word_effects` which of its
words can move a mask, `shipped` lists the models that come with Lexiseg, `conversion` makes runs from
published checkpoints.
`lexiseg.inference.reliability.calibration` holds the contents of `calibration.json`,
`lexiseg.inference.reliability.training_images` those of `training_images.safetensors`.
"""
