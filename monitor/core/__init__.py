"""The pure core: values, and functions that decide over them.

Nothing in here reads a clock, a file, the network or a random number: time and ids are arguments.
"""
