"""Tables of images: files of paths and labels, and those that hold the images."""
