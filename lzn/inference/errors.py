"""The error that is shown to users of a trained model."""


class UserError(ValueError):
    """A request that cannot be answered; the message says what is wrong and what to do."""
