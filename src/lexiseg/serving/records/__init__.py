"""The records of the HTTP interface: what each answer holds, and what a request may state.

Pictures are PNG files in base64. Sizes are (rows, columns). Points are (column, row) in pixels, where (0, 0)
is the upper left corner of the image and (0.5, 0.5) the centre of its first pixel.

An image has two frames. The stored frame is the grid of the file: masks, outlines and areas of a result are
in this frame, as those of `lexiseg predict` are. The displayed frame is the one in which a person sees the
image. They differ only for DICOM files that are stored mirrored or rotated. `PreviewRecord` and zone maps are
in the displayed frame.

Every answer with a status from 400 up is a `RefusalRecord`. The routes:

POST /v1/predict                             multipart `image` (one or several), `model`, `preview`, `exact`;
                                             or JSON: `UrlRequest`. Gives `PredictResponse`.
POST /v1/refine                              multipart `image`, `say` (text, or a JSON object with a phrase
                                             per factor), `model`, `preview`, `exact`. Gives
                                             `RefineResponse`.
GET /v1/models                               `ModelsResponse`
GET /v1/models/{name}/zones/{factor}/{index} PNG, grey values: where the phrase acts
POST /v1/jobs                                multipart `image` (many), `model`, `formats` (separated by
                                             commas). Gives 202 and `JobRecord`.
GET /v1/jobs                                 `JobsResponse`
GET /v1/jobs/{id}                            `JobRecord`
GET /v1/jobs/{id}/events                     server-sent events `progress` and, as the last, `end`; the
                                             data of each is a `JobRecord`
GET /v1/jobs/{id}/result                     the outputs as a zip file
DELETE /v1/jobs/{id}                         `JobRecord`: the job is cancelled, and its files are removed
GET /healthz, GET /readyz                    `HealthRecord`
GET /metrics                                 metrics in the format of Prometheus
GET /                                        the page

Where the server asks for a token, a request without one gets 401; `Authorization: Bearer TOKEN` states it.
"""

from __future__ import annotations
