"""What can be wrong with a stack, in sentences for the person who starts it."""


class StackError(RuntimeError):
    """The stack cannot be started, reached or ended; the message says why and what to do."""
