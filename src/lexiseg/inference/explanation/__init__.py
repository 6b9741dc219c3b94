"""What a person sees of a prediction: why this mask, and how it looks on the image.

`explain` tells where each phrase acts and how the mask looks under other phrases (`word_correction`); `card`
shows this as one HTML file. `overlay` draws contours on an image.
"""
