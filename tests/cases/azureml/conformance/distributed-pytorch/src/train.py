"""Would train on two machines."""
