"""What is tried, and what came back."""
