"""The `centernet` program: one module for each command."""
