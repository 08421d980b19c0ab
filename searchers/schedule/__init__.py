"""What is trained next, for how long, and when a search is over; no Ray here."""
