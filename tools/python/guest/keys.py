"""`hashlib.pbkdf2_hmac` in Python: CPython has it only from OpenSSL, which is not in this build.

It is slow, as many rounds are meant to be; `scrypt` is not there. Start at `pbkdf2_hmac`.
"""

import hashlib
import hmac


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """A key from a password: RFC 8018, section 5.2."""
    if iterations < 1 or (dklen is not None and dklen < 1):
        raise ValueError("iterations and dklen are at least 1")
    mac = hmac.new(bytes(password), None, hash_name)
    wanted = mac.digest_size if dklen is None else dklen
    key, index = b"", 0
    while len(key) < wanted:
        index += 1
        block = after(mac, bytes(salt) + index.to_bytes(4, "big"))
        mixed = int.from_bytes(block, "big")
        for _ in range(iterations - 1):
            block = after(mac, block)
            mixed ^= int.from_bytes(block, "big")
        key += mixed.to_bytes(mac.digest_size, "big")
    return key[:wanted]


def after(mac, data):
    """The code of `data` under the key that `mac` was begun with."""
    mac = mac.copy()
    mac.update(data)
    return mac.digest()


def install():
    if not hasattr(hashlib, "pbkdf2_hmac"):
        hashlib.pbkdf2_hmac = pbkdf2_hmac
        hashlib.__all__ += ("pbkdf2_hmac",)
