"""What two rooms need. Never imports a room."""
