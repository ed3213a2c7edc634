"""The door for machines: the three guide endpoints, and the loans to read."""
