"""What the program shares with the machine it runs on: files, locks, and text that comes from elsewhere."""
