"""`rally hook`: what an agent's program asks and tells by itself, at its own events.

Which fields a host sends and how it wants to be answered is in `rally.hosts`; what is allowed is
decided by the same operations that everybody uses. A hook never stands in its host's way because
rally is broken: see `rally.cli.hook.failing`.
"""
