"""What people who use a trained model may get wrong."""


class UserError(ValueError):
    """A request that cannot be answered; the message says why, and what to do instead."""
