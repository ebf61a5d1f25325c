"""Test kit of the Python test programs that talk TLS: certificates, and reasons to skip a test.

Found as server_kit.py is.
"""
import functools
import shutil
import subprocess
import sys
import tempfile

from server_kit import LIMIT, Skip

_keys = tempfile.TemporaryDirectory()


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f"there is no {program} here")


def built_with_openssl(program):
    """The path of the example, if there is one."""
    if not program.exists():
        raise Skip("it was built without fibers or OpenSSL")
    return program


@functools.cache
def certificate(name):
    """A self-signed one and its key, as paths."""
    need("openssl")
    certificate, key = (f"{_keys.name}/{name}.{what}.pem" for what in ("certificate", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=LIMIT)
    return certificate, key


if __name__ == "__main__":
    sys.exit("this is what test programs import, not a test program")
