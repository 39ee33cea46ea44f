"""The commands, a module for each few groups that belong together. Each has `COMMANDS`: command → handler."""
