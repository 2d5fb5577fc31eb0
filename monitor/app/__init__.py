"""The monitor, put together: configuration in, one task group of loops out.

operations     what a command has done: run, one look, test messages
process        clock, random numbers, environment, signals
sd_notify      the protocol of systemd
lease          may this monitor work, as one of several or alone
holdings       which workspaces it holds: they are taken and given back
loop_health    do the loops cycle
components     configuration → objects
workers        a workspace's, a receiver's: loop, wake, stop
config_watch   do the files of the configuration hold something else
reconfigure    from one configuration to another
reload         when the configuration is read again, and what comes of it
queues         what is queued, and for receivers that are gone
loops          the task group

Commands that only read or write what is recorded need `process` alone: the rest takes long to load.
"""
