# SPDX-License-Identifier: MPL-2.0
"""zbroker-keygen: pairs of keys, password hashes, and what it refuses."""

import os
import stat

import zmq
import zmq.auth
import zb
from secured import keygen, make_cert


def test_keygen_makes_a_pair_with_the_right_modes():
    folder = zb.folder()
    os.umask(0o077)
    result = keygen("cert", "alice.cert", "-d", folder, "-m", "email=alice@example.com")
    os.umask(0o022)
    assert result.returncode == 0, result.stderr
    path = os.path.join(folder, "alice.cert")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(path + "_secret").st_mode) == 0o600
    public, secret = zmq.auth.load_certificate(path + "_secret")
    assert zmq.auth.load_certificate(path) == (public, None)
    assert zmq.curve_public(secret) == public
    assert 'name = "alice"' in zb.read(path) and 'email = "alice@example.com"' in zb.read(path)
    assert secret.decode() not in result.stdout + zb.read(path)


def test_keygen_overwrites_nothing():
    folder = zb.folder()
    path = make_cert(folder, "a")
    before = zb.read(path), zb.read(path + "_secret")
    assert keygen("cert", "a", "-d", folder).returncode == 1
    os.unlink(path)
    assert keygen("cert", "a", "-d", folder).returncode == 1
    assert not os.path.exists(path) and zb.read(path + "_secret") == before[1]
    os.unlink(path + "_secret")
    zb.write(path, before[0])
    assert keygen("cert", "a", "-d", folder).returncode == 1
    assert not os.path.exists(path + "_secret") and zb.read(path) == before[0]


def test_keygen_says_what_is_wrong_by_its_exit_status():
    folder = zb.folder()
    for args in ([], ["nonsense"], ["cert"], ["cert", "a", "b"], ["cert", "a", "-m", "novalue"], ["password"],
                 ["password", "a:b"], ["--check"], ["cert", "-x", "a"]):
        assert keygen(*args, cwd=folder).returncode == 2, args
    assert keygen("cert", "a", "-d", folder + "/nowhere").returncode == 1
    assert keygen("password", "bob", stdin="").returncode == 1
    assert keygen("password", "bob", stdin="\n").returncode == 1
    assert keygen("--check", folder + "/nowhere").returncode == 1
    for args in (["-h"], ["--help"], ["-V"]):
        assert keygen(*args).returncode == 0
    assert os.listdir(folder) == []


def test_keygen_checks_what_it_made():
    folder = zb.folder()
    path = make_cert(folder, "a")
    assert keygen("--check", path, path + "_secret").returncode == 0
    users = zb.write(folder + "/users", keygen("password", "bob", stdin="secret\n").stdout)
    assert keygen("--check", users).stdout == f"{users}: 1 user\n"
    os.chmod(path + "_secret", 0o644)
    result = keygen("--check", path)
    assert result.returncode == 1 and "chmod 600" in result.stderr
    assert keygen("--check", zb.write(folder + "/broken", "bob:secret\n")).returncode == 1


if __name__ == "__main__":
    zb.main()
