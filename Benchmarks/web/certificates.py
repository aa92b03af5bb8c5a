"""Certificates of the local web's hosts, made by openssl."""
import subprocess

import kinds

# So many names a certificate: as large as those of shared hosting are.
NAMES = 40


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"openssl {arguments[0]}: {done.stderr}")


def _authority(folder, name):
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN=authority {name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")


def _certificate(folder, name, authority, hosts, days="2"):
    base = f"{folder}/{name}"
    with open(f"{base}.names", "w") as file:
        file.write("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts))
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
             "-keyout", f"{base}.key", "-out", f"{base}.csr")
    _openssl("x509", "-req", "-in", f"{base}.csr", "-CA", f"{folder}/{authority}.pem", "-CAkey", f"{folder}/{authority}.key",
             "-CAcreateserial", "-days", days, "-extfile", f"{base}.names", "-out", f"{base}.crt")
    with open(f"{base}.pem", "w") as whole:
        for part in ("crt", "key"):
            with open(f"{base}.{part}") as file:
                whole.write(file.read())
    return f"{base}.pem"


def _add_the_systems(path):
    """As many authorities as a client has that trusts the system's, too: reading them takes time."""
    try:
        with open("/etc/ssl/certs/ca-certificates.crt") as system, open(path, "a") as file:
            file.write(system.read())
    except FileNotFoundError:
        pass


def make(folder, sites):
    """The file of each host that speaks TLS: certificate and key. Clients are to trust folder/authority.pem."""
    _authority(folder, "authority")
    _authority(folder, "stranger")
    _add_the_systems(f"{folder}/authority.pem")
    files = {}
    for kind in ("plain_to_tls", *kinds.SECURE):
        if kind == "no_tls":
            continue
        hosts = sorted(site.name for site in sites.values() if site.kind == kind)
        for start in range(0, len(hosts), NAMES):
            some = hosts[start:start + NAMES]
            file = _certificate(folder, f"{kind}{start}", "stranger" if kind == "unknown_issuer" else "authority",
                                ["other.example.net"] if kind == "other_name" else some, "-1" if kind == "expired" else "2")
            files.update(dict.fromkeys(some, file))
    return files
