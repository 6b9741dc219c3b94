"""What the gateway keeps on the disk, so that an end of the process loses nothing.

`durable_queue` knows how far each image is, in a file of SQLite (`sqlite_file`, `faults`); `age` notices an
older copy of it. `spool` holds the files of images and results, and `quarantine_record` why an image needs
a person.
"""
