"""Training images without a mask: labellers, networks trained on the images with one, draw pseudo labels.

`labellers` trains them, told words as `word_maps` by `word_map_labeller`; `labeller_words` says whether words
can help them. `labeller_masks` are the masks that they draw; `pseudo_labelling` checks them and makes the
pseudo labels of them, and `pseudo_labels` holds those.
"""
