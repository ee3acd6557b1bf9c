"""Names in place of the ids of users: equal for one user, and nobody without the home's key finds whose it is."""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.home import mora_home

FILE = "pseudonyms.key"
_BYTES = 32  # of a key
_LETTERS = 16  # of a pseudonym: 64 bits


def pseudonym(key: bytes, user: object) -> str:
    """The name of a user: HMAC-SHA256 under the key, ``user:`` and 16 letters."""
    return f"user:{hmac.new(key, str(user).encode('utf-8', 'surrogatepass'), hashlib.sha256).hexdigest()[:_LETTERS]}"


def job_key() -> bytes:
    """The key of this machine's home, made when it is first asked for; of a job without a home one of its own.

    It stays in the memory of the driver and of its tasks: it is in no parameter, log or event.

    Raises:
        UserError: if it cannot be read or made.
    """
    return home_key(mora_home()) if os.environ.get("MORA_HOME") else secrets.token_bytes(_BYTES)


def home_key(home: Path) -> bytes:
    """The key of a home, which its user alone may read.

    Raises:
        UserError: if it cannot be read or made, or is none.
    """
    file = home / FILE
    try:
        if not file.exists():
            _make(file)
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
        key = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}, the key of pseudonyms, cannot be read or made: {error.strerror}.") from None
    if len(key) != _BYTES:
        raise UserError(
            f"{file} is no key of pseudonyms: it has {len(key)} bytes, not {_BYTES}. Remove it: users get new ones."
        )
    return key


def _make(file: Path) -> None:
    """Make a key; of several processes that do so at once, the first one's counts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"_{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_BYTES))
            stream.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(partial, file)
    finally:
        partial.unlink(missing_ok=True)
