"""Prediction: an image in, a mask and the words the model retrieves out. No text and no true mask is read.

`predictor` segments images, `options` holds how. `batch` writes the predictions of many images in the formats
of `writers`; `records` holds the lines of `predictions.jsonl`. `explain` and `card` show what led to a
prediction. `calibration` and `review` decide when a person should look.

Its modules may import `runs`, `systems`, `models`, `words`, and of `data` the modules `readers`, `decode`,
`resize` and `sample`. They never import `words.reading`, `embeddings`, `describing`, `training`,
`evaluation`, `studies`, `data.layouts`, `data.check` or `data.public`; `make check` enforces this.
"""
