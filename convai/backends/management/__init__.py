"""What runs the server from outside: launcher, watchdog, warm-up, control."""
