"""A full disk, in one message: libraries tell it in a dozen ways."""

import errno

_WORDS = ("No space left on device", "database or disk is full", "Disk quota exceeded")
_NUMBERS = (errno.ENOSPC, errno.EDQUOT)


def disk_full(error: BaseException) -> str | None:
    """The message for an error that a full disk caused, whatever library raised it; None for any other."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        number = cause.errno if isinstance(cause, OSError) else None
        if number in _NUMBERS or any(words in str(cause) for words in _WORDS):
            where = getattr(cause, "filename", None)
            return (
                f"The disk is full{f' ({where})' if where else ''}, so nothing of this was published; the versions "
                "before stay. Make room, then run it again."
            )
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None
