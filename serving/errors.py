"""The error that a user of the client sees."""


class ServingError(Exception):
    """A request that was not answered.

    Args:
        code: Name of the gRPC status code, such as `NOT_FOUND`.
        details: The server's words, or the transport's when no server answered.
        advice: What to do or to type next; may be empty.
    """

    def __init__(self, code: str, details: str, advice: str = "") -> None:
        self.code = code
        self.details = details
        self.advice = advice
        super().__init__(f"{code}: {details}" + (f" ({advice})" if advice else ""))
