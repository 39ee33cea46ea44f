"""Azure Pipelines files: text in, a plan or every mistake out. Pure: it reads the files it is given and runs nothing."""
