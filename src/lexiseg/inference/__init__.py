"""Prediction: an image in, a mask and the words the model retrieves out. No text and no true mask is read.

`predictor` segments images, `options` says how, and a `result` is what it returns. The networks that it asks
are an `ensemble` of one or two, with `flip_averaging`; `whole_images` puts the answers together, with
`preprocess` before the network and `tile_blend` after it. `dicom_images` turns DICOM images and their
predictions.

Above the predictor, each package may import those named after it: `volumes` predicts volumes, `batches` many
images to files, in the formats of `writers`; `records` holds the lines of `predictions.jsonl`, and
`explanation` shows what led to a prediction.

Below it: `words` are those of a prediction, `reliability` tells when a person should look, `inputs` finds and
reads what is predicted (`sources` are archives and DICOMweb services), `remote` reads and writes at URLs, and
`formats` lists the output formats.

Of `data`, its modules import what reads images, archives and volumes. They never import
`words.reading`, `embeddings`, `describing`, `training`, `evaluation`, `studies`, `data.layouts`, `data.check`
or `data.public`; `make check` enforces this.
"""
