"""Jobs: many images, predicted in the background, with their outputs as one zip file."""
