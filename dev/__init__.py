"""What the demo, the end-to-end tests and the pictures share. Not part of the package."""
