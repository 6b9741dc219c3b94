"""From a data set to the batches of a training: decoded images, random changes, order.

`sample_cache` decodes images, `picture_fit` makes pictures of them, `examples` changes them at random
(`corruption` holds changes that leave masks alone), `batch` is what comes out, `data_loaders` hands it on.
`sampler` gives the order, `sampling_weights` how often each image is drawn.
"""
