"""What exists on the desk: workspaces with their models and jobs, kept in plain files and one SQLite file each."""
