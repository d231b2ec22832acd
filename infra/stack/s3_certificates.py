"""TLS certificates with which the parts of the S3 server authenticate to each other on its inner ports."""

import datetime
import ipaddress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.stack.credentials import HOST
from infra.stack.layout import Layout, write_private

_PEM: Final = serialization.Encoding.PEM
_YEARS: Final = datetime.timedelta(days=3650)
_AUTHORITY: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lzn-stack-authority")])
_SERVER: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lzn-stack")])


def make_certificates(layout: Layout) -> None:
    """Write `authority.crt`, `server.crt` and `server.key` into the S3 server's folder, unless they exist.

    The authority's key is never written, so that no further certificate can be made.
    """
    if (layout.s3 / "server.crt").exists():
        return
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = _builder(_AUTHORITY, authority.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    signed = _builder(_SERVER, server.public_key()).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    key = server.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(layout.s3 / "server.key", key.decode())
    write_private(
        layout.s3 / "authority.crt", own.sign(authority, hashes.SHA256()).public_bytes(_PEM).decode()
    )
    write_private(
        layout.s3 / "server.crt", signed.sign(authority, hashes.SHA256()).public_bytes(_PEM).decode()
    )


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # allows for slow clocks
        .not_valid_after(now + _YEARS)
    )
