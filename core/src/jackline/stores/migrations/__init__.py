"""How the tables of an index came to be, one step a file."""
