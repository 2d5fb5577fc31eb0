"""The way out: how anything of the monitor reaches another host, decided and worded in one place.

loop      the event loop: names are looked up where nothing else waits for it
proxy     which proxy leads to an address, by a setting or by the usual variables
tls       whom we trust
http      clients of HTTP over all that
head      what a response begins with, legal but odd forms included
body      what it brings, its content codings undone
failure   why there was no connection, in words that hold no address, and what to do
"""
