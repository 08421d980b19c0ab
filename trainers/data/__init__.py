"""Images: the data sets, their splits, and batches on the device."""
