"""Keys and certificates, made with openssl: authorities and the few leaves that they sign."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.commands import run

DAYS = 3650
SERVER, CLIENT = "serverAuth", "clientAuth"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key (0600)."""

    certificate: Path
    key: Path

    def exists(self) -> bool:
        return self.certificate.is_file() and self.key.is_file()


def pair(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.crt", folder / f"{name}.key")


def build_config(*, common_name: str, organization: str = "", extensions: Sequence[str]) -> str:
    """An openssl configuration for one certificate."""
    subject = [f"CN = {common_name}", *([f"O = {organization}"] if organization else [])]
    head = ["[req]", "prompt = no", "distinguished_name = subject", "x509_extensions = extensions"]
    return "\n".join([*head, "[subject]", *subject, "[extensions]", *extensions, ""])


def build_san(names: Sequence[str]) -> str:
    """The subjectAltName line; whatever looks like an address becomes one."""
    parts = [f"{'IP' if name.replace('.', '').isdigit() or ':' in name else 'DNS'}:{name}" for name in names]
    return f"subjectAltName = {', '.join(parts)}"


def make_authority(target: Pair, common_name: str) -> None:
    """A self-signed authority."""
    extensions = [
        "basicConstraints = critical, CA:TRUE",
        "keyUsage = critical, keyCertSign, cRLSign",
        "subjectKeyIdentifier = hash",
    ]
    _issue(target, build_config(common_name=common_name, extensions=extensions), signer=None, days=DAYS)


def make_leaf(
    target: Pair,
    signer: Pair,
    *,
    common_name: str,
    organization: str = "",
    usages: Sequence[str],
    names: Sequence[str] = (),
    days: int = DAYS,
) -> None:
    """A certificate signed by `signer`, for those usages and names."""
    extensions = [
        "basicConstraints = critical, CA:FALSE",
        "keyUsage = critical, digitalSignature",
        f"extendedKeyUsage = {', '.join(usages)}",
        "subjectKeyIdentifier = hash",
        "authorityKeyIdentifier = keyid",
        *([build_san(names)] if names else []),
    ]
    config = build_config(common_name=common_name, organization=organization, extensions=extensions)
    _issue(target, config, signer=signer, days=days)


def make_signing_key(path: Path) -> None:
    """The key that signs the service accounts' tokens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path])


def lasts(certificate: Path, days: int) -> bool:
    """Whether it is there and still valid in `days` days."""
    argv: list[str | Path] = ["openssl", "x509", "-in", certificate, "-noout", "-checkend", str(days * 86400)]
    return certificate.is_file() and run(argv, check=False).returncode == 0


def signed_by(certificate: Path, authority: Path) -> bool:
    """Whether the authority signed the certificate."""
    argv: list[str | Path] = ["openssl", "verify", "-CAfile", authority, certificate]
    return authority.is_file() and certificate.is_file() and run(argv, check=False).returncode == 0


def _issue(target: Pair, config: str, *, signer: Pair | None, days: int) -> None:
    target.certificate.parent.mkdir(parents=True, exist_ok=True)
    target.key.touch(mode=0o600)
    signing: list[str | Path] = [] if signer is None else ["-CA", signer.certificate, "-CAkey", signer.key]
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:
        file.write(config)
        file.flush()
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        out: list[str | Path] = ["-keyout", target.key, "-out", target.certificate, "-days", str(days)]
        run(["openssl", "req", "-x509", "-config", file.name, *curve, *signing, *out])
