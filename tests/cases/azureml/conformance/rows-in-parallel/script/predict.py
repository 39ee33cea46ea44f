"""Would get the rows as a data frame."""
