"""The units of work: each decides in the core and ends in one commit."""
