"""Where images come from.

`folder`, `dicom_receiver` (C-STORE, with the listener `dicom_server`) and `dicomweb` (QIDO-RS, WADO-RS)
hand images to `intake`, which has them on the disk and in the queue before their sender is told so.
`incoming_file` and `incoming_data_set` are images that arrive piece by piece; `unreadable` is a source that
cannot be read.
"""
