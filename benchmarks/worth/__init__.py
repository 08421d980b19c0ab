"""What a search's answer is worth beside networks that an engineer would scale by hand."""
