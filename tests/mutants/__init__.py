"""Mutation testing: which changes of the program does no test notice? `make mutants` says.

The program is own code because mutmut 3 changes functions only and cosmic-ray runs every test for
every change, and neither changes SQL, which stands in constants here and matters most.
"""

from functools import partial

say = partial(print, flush=True)
