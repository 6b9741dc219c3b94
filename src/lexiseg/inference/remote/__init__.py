"""Files and folders at URLs, such as s3://, gs:// and https://.

`file_systems` opens them and explains their errors. `remote_listing` lists the images that a URL names, and
`remote_outputs` recognises results among them. `remote_folder` uploads results.
"""
