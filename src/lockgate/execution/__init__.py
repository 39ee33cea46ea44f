"""Runs Azure ML jobs on one machine: reads the file, checks it, binds inputs, runs the nodes."""
