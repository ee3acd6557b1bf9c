"""The ways an alert goes out: a webhook, e-mail, the log. Set by environment variables, which hold the secrets."""

import json
import logging
import os
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import urlsplit

from mora_pipeline.alerts.alert import Alert
from mora_pipeline.contract.errors import UserError

PATIENCE = 10.0  # seconds that a server has to answer
log = logging.getLogger("mora_pipeline.alerts")


class ChannelError(Exception):
    """An alert could not be handed over; the message names the server, never a secret."""


class Channel(Protocol):
    """Hands an alert over to a server."""

    @property
    def name(self) -> str:
        """As the outbox calls it."""

    def send(self, alert: Alert) -> None:
        """Hand one alert over.

        Raises:
            ChannelError: if the server did not take it.
        """


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET, and lose the alert without an error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Webhook:
    """An HTTP address that takes JSON; ``text`` is what Slack, Mattermost and the like show.

    Attributes:
        url: http or https; it often is a secret itself, so no message shows more than its host.
        token: sent as ``Authorization: Bearer``.
    """

    url: str
    token: str | None = None
    name: str = "webhook"

    def send(self, alert: Alert) -> None:
        """See `Channel.send`."""
        body = {**alert.record(), "cause": alert.text, "text": alert.message(), "host": socket.gethostname()}
        headers = {"Content-Type": "application/json", "User-Agent": "mora-pipeline"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=PATIENCE):
                return
        except urllib.error.HTTPError as error:
            raise ChannelError(f"the webhook at {self._host} answered {error.code}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise ChannelError(f"the webhook at {self._host} cannot be reached ({reason})") from None

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or "?"


@dataclass(frozen=True)
class Email:
    """A mail server. A password is sent over TLS alone.

    Attributes:
        host, port: of the server.
        implicit_tls: TLS from the first byte (smtps); else STARTTLS where the server offers it.
    """

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    implicit_tls: bool = False
    user: str | None = None
    password: str | None = None
    name: str = "email"

    def send(self, alert: Alert) -> None:
        """See `Channel.send`."""
        mail = EmailMessage()
        mail["Subject"] = f"[mora] {'mended: ' if alert.mended else ''}{alert.title}".replace("\n", " ")[:200]
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail.set_content(f"{alert.message()}\n\nSince {alert.since}, on {socket.gethostname()}.\n")
        try:
            with self._connected() as server:
                server.send_message(mail)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__  # an SMTP error may repeat addresses
            raise ChannelError(f"the mail server {self.host}:{self.port} did not take it ({reason})") from None

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.implicit_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=PATIENCE, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=PATIENCE)
        try:
            server.ehlo_or_helo_if_needed()
            if not self.implicit_tls and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif not self.implicit_tls and self.password:
                raise smtplib.SMTPNotSupportedError("no STARTTLS")
            if self.user and self.password:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server


def configured(environment: Mapping[str, str] | None = None) -> list[Channel]:
    """The servers that the environment names; none is a fair choice, the log has every alert.

    ``MORA_ALERT_WEBHOOK`` (and ``MORA_ALERT_WEBHOOK_TOKEN``); ``MORA_ALERT_EMAIL_TO`` (commas),
    ``MORA_ALERT_EMAIL_FROM``, ``MORA_ALERT_SMTP`` (``smtp://host:587`` or ``smtps://host:465``),
    ``MORA_ALERT_SMTP_USER`` and ``MORA_ALERT_SMTP_PASSWORD``.

    Raises:
        UserError: if one of them cannot be meant; the message names the variable and never its value.
    """
    given = {name: value.strip() for name, value in (environment or os.environ).items() if value.strip()}
    channels: list[Channel] = []
    if url := given.get("MORA_ALERT_WEBHOOK"):
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UserError("MORA_ALERT_WEBHOOK is no address of a web server: say https://host/path.")
        channels.append(Webhook(url, given.get("MORA_ALERT_WEBHOOK_TOKEN")))
    if recipients := given.get("MORA_ALERT_EMAIL_TO"):
        channels.append(_email(given, tuple(item.strip() for item in recipients.split(",") if item.strip())))
    return channels


def _email(given: Mapping[str, str], recipients: tuple[str, ...]) -> Email:
    address = urlsplit(given.get("MORA_ALERT_SMTP", "smtp://localhost:25"))
    try:
        port = address.port
    except ValueError:
        port = -1
    if address.scheme not in ("smtp", "smtps") or not address.hostname or port == -1 or address.username:
        raise UserError(
            "MORA_ALERT_SMTP is no address of a mail server: say smtp://host:587 or smtps://host:465, and give user "
            "and password by MORA_ALERT_SMTP_USER and MORA_ALERT_SMTP_PASSWORD."
        )
    implicit = address.scheme == "smtps"
    sender = given.get("MORA_ALERT_EMAIL_FROM") or f"mora@{socket.gethostname()}"
    for mail in (sender, *recipients):
        if "@" not in mail or any(character.isspace() for character in mail):
            raise UserError("MORA_ALERT_EMAIL_TO and MORA_ALERT_EMAIL_FROM hold mail addresses, the first with commas.")
    user, password = given.get("MORA_ALERT_SMTP_USER"), given.get("MORA_ALERT_SMTP_PASSWORD")
    if not (user or "").isascii() or not (password or "").isascii():
        raise UserError("MORA_ALERT_SMTP_USER and MORA_ALERT_SMTP_PASSWORD may hold ASCII alone: mail servers' log-in.")
    return Email(address.hostname, port or (465 if implicit else 587), sender, recipients, implicit, user, password)
