"""`az` on the desk: the commands of the Azure CLI and its ml extension that a delivery needs, against workspaces kept in plain files.

Started anew for every command, so nothing is imported that the command does not need.
"""
