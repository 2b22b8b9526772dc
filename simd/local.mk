# one convenience library per instruction set, each with flags of its own
