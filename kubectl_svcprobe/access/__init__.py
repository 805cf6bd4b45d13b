"""Who may ask whom: the kubeconfig, and the connection to the API server."""
