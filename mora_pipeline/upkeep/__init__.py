"""What keeps a home small, private and safe: prune, erase a region, back up and restore."""
