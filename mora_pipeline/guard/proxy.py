"""``python -m mora_pipeline.guard.proxy``: nginx with a log-in before the web pages of a deployment.

Writes nginx's configuration and the log-in's file into a folder of its own, and becomes nginx. What differs from place
to place stands in the environment: MORA_UI_PASSWORD (or MORA_UI_PASSWORD_FILE, a file that holds it), MORA_UI_USER,
MORA_UI_HOSTS, MORA_PROXY_HOST and _PORT to listen on, and the services behind it: MORA_PROXY_DAGSTER, _MLFLOW and
_SPARK as http://host:port.
"""

import crypt
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.guard.hosts import HOSTS_VARIABLE, AllowedHosts, place_of

TEMPLATE = Path(__file__).with_name("nginx.conf")
SHORTEST = 12  # letters of a password that whoever reaches the port may try as often as they like
UPSTREAMS = ("dagster", "mlflow", "spark")


def main() -> None:
    """Write both files and become nginx."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    try:
        if program is None:
            raise UserError("nginx is not installed: apt-get install nginx.")
        folder = Path(tempfile.mkdtemp(prefix="mora-proxy-"))
        write_files(folder, os.environ)
    except UserError as error:
        sys.exit(str(error))
    password = ("MORA_UI_PASSWORD", "MORA_UI_PASSWORD_FILE")
    environment = {name: value for name, value in os.environ.items() if name not in password}
    # Started by root, its workers would become somebody who cannot read this folder.
    same_user = ["-g", "user root;"] if os.geteuid() == 0 else []
    arguments = ["-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf"), *same_user]
    os.execve(program, [program, *arguments], environment)


def write_files(folder: Path, environment: Mapping[str, str]) -> None:
    """Put ``nginx.conf`` and the log-in's file, ``users``, into a folder that only this user can read.

    Raises:
        UserError: if the password is missing or short, or a setting would be something else to nginx than a value.
    """
    users = folder / "users"
    users.touch(mode=0o600)
    users.write_text(login(environment.get("MORA_UI_USER") or "mora", password_of(environment)))
    hosts = AllowedHosts.of("127.0.0.1", environment.get(HOSTS_VARIABLE, ""))
    host, port = environment.get("MORA_PROXY_HOST", "127.0.0.1"), environment.get("MORA_PROXY_PORT", "8088")
    if not place_of(f"{host}:{port}"):
        raise UserError(f"MORA_PROXY_HOST and MORA_PROXY_PORT are {host!a} and {port!a}: say an address and a number.")
    values = {"FOLDER": str(folder), "HOST": host, "PORT": port}
    values |= {name.upper(): _place(f"MORA_PROXY_{name.upper()}", environment) for name in UPSTREAMS}
    values |= {"HOSTS": "|".join(re.escape(name) for name in sorted(hosts.names))}
    text = TEMPLATE.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    (folder / "nginx.conf").write_text(text)


def password_of(environment: Mapping[str, str]) -> str:
    """The password of the log-in.

    Raises:
        UserError: if there is none, or it is short.
    """
    file = environment.get("MORA_UI_PASSWORD_FILE")
    try:
        password = Path(file).read_text().strip() if file else environment.get("MORA_UI_PASSWORD", "")
    except OSError as error:
        raise UserError(f"MORA_UI_PASSWORD_FILE names {file}, which cannot be read ({error.strerror}).") from None
    if len(password) < SHORTEST:
        raise UserError(
            f"The log-in needs a password of at least {SHORTEST} letters: set MORA_UI_PASSWORD, or "
            "MORA_UI_PASSWORD_FILE to a file that holds it (openssl rand -hex 24)."
        )
    return password


def login(user: str, password: str) -> str:
    """A line of nginx's file of users; the password is hashed and salted.

    Raises:
        UserError: if the name has letters that end it.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", user):
        raise UserError(f"MORA_UI_USER is {user!a}: use letters, digits, dots, dashes and underscores.")
    return f"{user}:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_SHA512))}\n"


def _place(name: str, environment: Mapping[str, str]) -> str:
    """Host and port of a service's address.

    Raises:
        UserError: if it is none.
    """
    address = environment.get(name, "")
    place = address.removeprefix("http://").rstrip("/")
    parts = place_of(place)
    if parts is None or parts[1] is None or not address.startswith("http://"):
        raise UserError(f"{name} is {address!a}: say http://host:port.")
    return place


if __name__ == "__main__":
    main()
