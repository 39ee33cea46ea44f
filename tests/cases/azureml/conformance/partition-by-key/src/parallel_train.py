"""Would train a model for every store and brand."""
