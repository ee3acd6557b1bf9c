"""Alerts, handed to real servers: nothing is lost, nothing is said twice, no secret is shown, no run is failed."""

import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from mora_pipeline.alerts import Alert, forget, open_alerts, outbox, raise_alert, settle, watch
from mora_pipeline.alerts.channels import ChannelError, Email, Webhook, configured
from mora_pipeline.contract.errors import UserError

FAILED = Alert("run_failed", "The run of town failed", "edges: 3% of the rows are bad", "mora status", "town", "r1")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_alert_reaches_the_webhook_once_and_says_what_is_wrong(
    mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    monkeypatch.setenv("MORA_ALERT_WEBHOOK_TOKEN", "t0ken")
    for _ in range(3):
        raise_alert(mora_home, FAILED)
    assert len(webhook.bodies) == 1
    body = webhook.bodies[0]
    assert (body["kind"], body["region"], body["run"], body["mended"]) == ("run_failed", "town", "r1", False)
    assert all(part in body["text"] for part in ("The run of town failed", "3% of the rows", "mora status"))
    assert webhook.headers[0]["Authorization"] == "Bearer t0ken"
    assert [alert.key for alert in open_alerts(mora_home)] == ["run_failed:town"]


def test_another_failed_run_is_told_and_the_end_is_told(
    mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    raise_alert(mora_home, FAILED)
    raise_alert(mora_home, Alert(**{**FAILED.record(), "run": "r2"}))
    assert [alert.title for alert in settle(mora_home, ["run_failed:town", "run_failed:city"])] == [FAILED.title]
    assert [(body["run"], body["mended"]) for body in webhook.bodies] == [("r1", False), ("r2", False), ("r2", True)]
    assert webhook.bodies[0]["since"] == webhook.bodies[2]["since"]
    assert open_alerts(mora_home) == []


def test_what_lasts_is_told_again_after_a_day(mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    raise_alert(mora_home, FAILED)
    tomorrow = time.time() + 86_500
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    raise_alert(mora_home, FAILED)
    assert len(webhook.bodies) == 2


def test_a_look_tells_what_began_and_what_is_over_of_its_kinds_alone(mora_home: Path) -> None:
    late = Alert("night_late", "town is late", "", "mora status", "town")
    raise_alert(mora_home, FAILED)
    watch(mora_home, ["night_late", "night_missed"], [late])
    assert {alert.kind for alert in open_alerts(mora_home)} == {"run_failed", "night_late"}
    watch(mora_home, ["night_late", "night_missed"], [])
    assert {alert.kind for alert in open_alerts(mora_home)} == {"run_failed"}


@pytest.mark.parametrize("status", [500, 302, 404])
def test_a_server_that_refuses_loses_nothing(
    mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Also not by a redirect, which would make a GET of the POST."""
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    webhook.status = status
    raise_alert(mora_home, FAILED)
    assert outbox.deliver(mora_home, configured()).waiting == 1  # it is not due yet
    webhook.status = 200
    assert outbox.deliver(mora_home, configured(), now=True) == outbox.Delivery(1, 0)
    assert webhook.bodies[0]["run"] == "r1"


def test_a_server_out_of_reach_holds_nobody_up_and_is_asked_ever_more_seldom(
    mora_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", f"http://127.0.0.1:{unused_port()}/hooks/s3cret")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        raise_alert(mora_home, FAILED)
        for _ in range(3):
            assert outbox.deliver(mora_home, configured(), now=True).waiting == 1
    assert time.monotonic() - began < 5
    waits = [record.message for record in caplog.records if "next attempt" in record.message]
    assert [message.rsplit(" in ", 1)[1] for message in waits] == ["30 s.", "60 s.", "120 s.", "240 s."]
    assert "s3cret" not in caplog.text


def test_a_full_disk_is_told_without_the_outbox(mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)

    def full(*_: Any) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outbox, "folder_of", full)
    raise_alert(mora_home, FAILED)
    assert [body["run"] for body in webhook.bodies] == ["r1"]


def test_a_damaged_file_of_alerts_is_no_reason_to_be_silent(mora_home: Path, webhook: Any) -> None:
    raise_alert(mora_home, FAILED)
    for damage in ("{", "[]", '{"run_failed:town": 3}', "\x00"):
        (mora_home / "alerts" / "open.json").write_text(damage)
        assert open_alerts(mora_home) == []
        raise_alert(mora_home, FAILED)
        assert len(open_alerts(mora_home)) == 1
    (mora_home / "alerts" / "outbox" / "1-x.json").write_text("{")
    assert outbox.deliver(mora_home, [Webhook(webhook.url)], now=True) == outbox.Delivery(0, 0)


def test_an_erased_region_is_forgotten_and_the_folder_is_the_owners(
    mora_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", f"http://127.0.0.1:{unused_port()}/")
    assert forget(mora_home, "town") == 0
    raise_alert(mora_home, FAILED)
    raise_alert(mora_home, Alert(**{**FAILED.record(), "region": "city", "title": "The run of city failed"}))
    assert forget(mora_home, "town") == 2
    files = [file for file in (mora_home / "alerts").rglob("*") if file.is_file()]
    assert not [file for file in files if "town" in file.read_text()]
    assert [file for file in files if "city" in file.read_text()]
    assert (mora_home / "alerts").stat().st_mode & 0o077 == 0


class Mails:
    """What a real SMTP server of `aiosmtpd` took."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the name it asks for
        self.taken.append((session.ssl is not None, envelope))
        return "250 OK"


def test_an_alert_goes_by_mail_over_starttls_with_a_password(
    mora_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp, controllers = pytest.importorskip("aiosmtpd.smtp"), pytest.importorskip("aiosmtpd.controller")
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    mails, logins = Mails(), []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        logins.append((data.login, data.password))
        return smtp.AuthResult(success=True)

    options = {"tls_context": context, "authenticator": authenticate, "auth_required": True, "require_starttls": True}
    controller = controllers.Controller(mails, hostname="127.0.0.1", port=unused_port(), **options)
    controller.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MORA_ALERT_EMAIL_TO", "on-call@example.org, boss@example.org")
    monkeypatch.setenv("MORA_ALERT_EMAIL_FROM", "mora@example.org")
    monkeypatch.setenv("MORA_ALERT_SMTP", f"smtp://localhost:{controller.port}")
    monkeypatch.setenv("MORA_ALERT_SMTP_USER", "mora")
    monkeypatch.setenv("MORA_ALERT_SMTP_PASSWORD", "s3cret")
    try:
        raise_alert(mora_home, FAILED)
    finally:
        controller.stop()
    assert logins == [(b"mora", b"s3cret")]
    ((encrypted, envelope),) = mails.taken
    assert encrypted
    assert envelope.rcpt_tos == ["on-call@example.org", "boss@example.org"]
    text = envelope.content.decode()
    assert "Subject: [mora] The run of town failed" in text
    assert "mora status" in text


def test_a_password_is_never_sent_in_the_clear() -> None:
    controllers = pytest.importorskip("aiosmtpd.controller")
    mails = Mails()
    controller = controllers.Controller(mails, hostname="127.0.0.1", port=unused_port())
    controller.start()
    email = Email("127.0.0.1", controller.port, "a@b.c", ("d@e.f",), user="mora", password="s3cret")
    try:
        with pytest.raises(ChannelError, match="did not take it") as refused:
            email.send(FAILED)
        Email("127.0.0.1", controller.port, "a@b.c", ("d@e.f",)).send(FAILED)
    finally:
        controller.stop()
    assert "s3cret" not in str(refused.value)
    assert len(mails.taken) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MORA_ALERT_WEBHOOK": "file:///etc/s3cret"}, "MORA_ALERT_WEBHOOK"),
        ({"MORA_ALERT_WEBHOOK": "s3cret"}, "https://host/path"),
        ({"MORA_ALERT_EMAIL_TO": "a@b.c", "MORA_ALERT_SMTP": "smtp://u:s3cret@host"}, "MORA_ALERT_SMTP_PASSWORD"),
        ({"MORA_ALERT_EMAIL_TO": "a@b.c", "MORA_ALERT_SMTP": "smtp://host:s3cret"}, "smtp://host:587"),
        ({"MORA_ALERT_EMAIL_TO": "s3cret"}, "mail addresses"),
        ({"MORA_ALERT_EMAIL_TO": "a@b.c", "MORA_ALERT_SMTP_PASSWORD": "s3cretß"}, "ASCII"),
        ({"MORA_ALERT_EMAIL_TO": "a@b.c\nBcc: s3cret@x.y"}, "mail addresses"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named_without_its_value(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        configured(settings)
    assert "s3cret" not in str(refused.value)


def test_wrong_settings_leave_the_log(
    mora_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", "nonsense")
    raise_alert(mora_home, FAILED)
    assert "The run of town failed" in caplog.text
    assert "MORA_ALERT_WEBHOOK" in caplog.text


def self_signed(folder: Path) -> Path:
    """A certificate of localhost, with its key, in one file."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
