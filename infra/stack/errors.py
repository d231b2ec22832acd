"""The error of the stack, whose messages are for the person who starts it."""


class StackError(RuntimeError):
    """The stack cannot be started, reached or stopped; the message says why and what to do."""
