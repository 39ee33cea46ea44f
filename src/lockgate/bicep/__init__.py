"""Bicep, read and evaluated without Azure: what a file declares, with the names that its parameters give. Reads files and nothing else."""
