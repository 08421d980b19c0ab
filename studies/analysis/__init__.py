"""What the records say about networks, layers and scores; nothing here writes."""
