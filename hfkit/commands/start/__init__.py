"""`hfkit init`: a first params.yaml for unknown exports."""
