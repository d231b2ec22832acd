"""Messages of flows, as Prefect's server accepts them."""


def as_utf8(text: str) -> str:
    """Return a text that UTF-8 can hold: bytes of file names that are not UTF-8 become escapes such as ``\\udcff``.

    Servers refuse such characters, and JSON encoders end with an error.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
