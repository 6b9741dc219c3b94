"""The gateway beside an archive: images in, predictions as DICOM objects out, through a durable queue.

`configuration` is what a user writes into a file (`configuration_file`). Sources (`folder_source`,
`dicom_receiver`, `dicomweb_source`) hand images to `intake`, which stores them (`spool`) and notes them
(`queue`) before the sender is told that they arrived. `prediction` routes (`routing`) and predicts them,
`delivery` sends the results (`result_files`) to destinations (`folder_destination`, `dicom_sender`,
`dicomweb_sender`). `queue_age` notices an older copy of the queue. `service` runs all of it; `single_pass`
does the same once for a folder, without a queue. `event_log` and `monitoring` show what happens, without data
of patients.

Everything needs the extra `gateway`.
"""
