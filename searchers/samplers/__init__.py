"""What proposes networks."""
