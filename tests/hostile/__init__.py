"""What an author of a manifest must not be able to do, each kind of attack in a file of its own."""
