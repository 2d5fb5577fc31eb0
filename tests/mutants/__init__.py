"""Mutation testing: which changes of the program does no test notice? `make mutants` says.

Own code because mutmut 3 changes functions only, cosmic-ray runs all tests for each, neither SQL.
"""

from functools import partial

say = partial(print, flush=True)
