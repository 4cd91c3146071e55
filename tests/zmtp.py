# SPDX-License-Identifier: MPL-2.0
"""What goes over the wire, byte by byte (RFC 23, RFC 45), for peers that libzmq would not be."""

import base64
import os
import socket
import struct

import zb

SIGNATURE = b"\xff\0\0\0\0\0\0\0\x01\x7f"
GREETING = SIGNATURE + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)


def command(name, body):
    payload = bytes([len(name)]) + name + body
    if len(payload) < 256:
        return b"\x04" + bytes([len(payload)]) + payload
    return b"\x06" + struct.pack(">Q", len(payload)) + payload


def ready(kind, more=b""):
    return command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind + more)


def frame(body, more=False):
    if len(body) < 256:
        return bytes([1 if more else 0, len(body)]) + body
    return bytes([3 if more else 2]) + struct.pack(">Q", len(body)) + body


class Raw:
    """A socket of ours, a PUSH unless KIND says another. It keeps what it gets."""

    def __init__(self, port, kind=b"PUSH"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10 * zb.SLOW)
        self.socket.sendall(GREETING + ready(kind))
        self.got = b""
        self.wait(b"READY", 1)

    def send(self, data):
        self.socket.sendall(data)

    def wait_end(self):
        """Until the other side has closed."""
        try:
            while got := self.socket.recv(65536):
                self.got += got
        except ConnectionError:
            pass

    def wait(self, word, count):
        while self.got.count(word) < count:
            got = self.socket.recv(65536)
            assert got, f"the connection ended after {self.got}"
            self.got += got

    def break_off(self):
        """Without a good-bye: what the kernel then says is RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class WebSocket:
    """A browser's PUSH: ZWS 2.0 without a security mechanism, which libzmq's own clients never ask for."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10 * zb.SLOW)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: ZWS2.0\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            got = self.socket.recv(1)
            if not got:
                raise ConnectionError("sent away")
            answer += got
        self.send(b"\0")  # its routing id: none

    def send(self, body):
        """One frame; the first byte of BODY is its flags."""
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x82, 0x80 | len(body)]) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)))

    def ends(self):
        """Wait for its end."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.socket.close()
