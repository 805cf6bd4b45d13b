"""What the user sees: one module per format."""
