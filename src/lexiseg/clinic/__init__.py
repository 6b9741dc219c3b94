"""DICOM files: images with their orientation and pixel spacing in, segmentations and structured reports out.

Reading: `detection` recognises the files, `dataset` opens them and refuses what is no image, `frame_pixels`,
`greyscale` and `rendering` turn stored values into what a viewer shows, `spacing` and `orientation` say how
large a pixel is and where the patient's left is. `image` puts all of it together.

Writing: `segmentation_object`, `structured_report` and `secondary_capture` build the objects, `verification`
and `laterality_guard` check them before they get their names.

Everything needs the extra `dicom`, except `detection`, `view`, `facts` and `orientation`, which
other modules may import without it. No module imports torch.
"""
