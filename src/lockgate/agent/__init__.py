"""Runs the plan of an Azure Pipelines file on this machine, as a self-hosted agent does."""
