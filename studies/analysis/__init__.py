"""What the records say of networks, layers and numbers; nothing here writes."""
