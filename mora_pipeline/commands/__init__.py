"""What the `mora` commands do, one file a group; imports that take long are inside the functions."""
