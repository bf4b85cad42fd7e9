"""The enrolment bundle: what a gateway needs to be let in, in one file that an installer carries to the home.

A tar archive, readable by its owner only: `ca.pem`, `cert.pem`, `key.pem` and `uplink.json`, which says where the
broker is, who the gateway is, and when the certificate ends.
"""

import io
import json
import tarfile
from pathlib import Path

from collector.identity.authority import Authority, Issued, write_secret


def write_bundle(authority: Authority, issued: Issued, folder: Path, host: str, port: int) -> Path:
    """The bundle of a gateway, named after it, in `folder`."""
    home, gateway = issued.name.split("/")
    about = {"home": home, "gateway": gateway, "host": host, "port": port, "ends": issued.ends.isoformat()}
    members = {
        "ca.pem": authority.certificate,
        "cert.pem": issued.certificate,
        "key.pem": issued.key,
        "uplink.json": json.dumps(about, indent=1).encode(),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{home}-{gateway}.tar"
    write_secret(path, packed.getvalue())
    return path
