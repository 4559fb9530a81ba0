"""One file a verb that a person types beside the loop."""
