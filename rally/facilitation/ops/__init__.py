"""What can be asked of a room, one function per operation.

An operation takes the service, the caller's place and its parameters (plain JSON values, as they came
from the command line or the socket), and answers `Reply`. The command line, programs and runners all
come through here.
"""
