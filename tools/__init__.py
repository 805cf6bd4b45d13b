"""What is used to work on the project, and is no part of the package."""
