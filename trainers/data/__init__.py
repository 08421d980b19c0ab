"""Images: the data sets there are, their splits, and batches on the device."""
