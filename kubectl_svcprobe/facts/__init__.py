"""What is true in the cluster: objects as the API server shows them."""
