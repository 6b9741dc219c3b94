"""The gateway beside an archive: images in, predictions as DICOM objects out, through a durable queue.

`configuration` is what a user writes into a file (`configuration_file`), in which some folders must lie
apart (`folder_overlap`). `sources` hand over images, which are on the disk and in the `queue` before their
sender is told so; `prediction` segments them, and `destinations` get the results. A `header` tells all of
them which image it is; `connections` are those of sources and destinations. `quarantine` lists the images
that need a person, and acts on them.

All parts share the `state`, in which a `site_key` hides ids; `event_log` and `monitoring` show what
happens, without data of patients. `service` runs all of it; `single_pass` does the same once for a folder,
without a queue.

Everything needs the extra `gateway`.
"""
