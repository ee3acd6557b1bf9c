"""What `mora doctor` looks at: the machine, the home, and the services around it."""
