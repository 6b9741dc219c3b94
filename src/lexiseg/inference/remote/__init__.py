"""Files and folders at URLs, such as s3://, gs:// and https://.

`file_systems` opens them and explains their errors. `listing` lists the images that a URL names, and
`outputs` recognises results among them. `folder` uploads results.
"""
