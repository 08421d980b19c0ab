"""A front trained again with fresh seeds, in processes side by side."""
