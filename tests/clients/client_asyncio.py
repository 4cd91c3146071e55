# SPDX-License-Identifier: MPL-2.0
"""client.c again, for pyzmq with asyncio: the same words, the same checks."""

import asyncio
import itertools
import os
import sys

import zmq
import zmq.asyncio

TIMEOUT_MS = 120000
PAUSE = int(os.environ.get("CLIENT_PAUSE", "0")) / 1000
TYPES = {"push": zmq.PUSH, "pull": zmq.PULL, "pub": zmq.PUB, "sub": zmq.SUB, "req": zmq.REQ, "rep": zmq.REP, "pair": zmq.PAIR,
         "dealer": zmq.DEALER, "mirror": zmq.PAIR}
TEXTS = {"CLIENT_USER": zmq.PLAIN_USERNAME, "CLIENT_PASSWORD": zmq.PLAIN_PASSWORD, "CLIENT_SERVER_KEY": zmq.CURVE_SERVERKEY,
         "CLIENT_PUBLIC_KEY": zmq.CURVE_PUBLICKEY, "CLIENT_SECRET_KEY": zmq.CURVE_SECRETKEY, "CLIENT_ID": zmq.ROUTING_ID}


class Library:
    """A socket of pyzmq's."""

    @classmethod
    async def open(cls, kind, endpoint):
        self = cls()
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(TYPES[kind])
        set_options(kind, self.socket.setsockopt)
        self.socket.connect(endpoint)
        return self

    async def send(self, frames):
        await self.socket.send_multipart(frames)

    async def receive(self):
        return await self.socket.recv_multipart()

    async def close(self):
        self.context.destroy(TIMEOUT_MS)


def set_options(kind, setsockopt):
    for option in zmq.LINGER, zmq.HEARTBEAT_TIMEOUT:
        setsockopt(option, TIMEOUT_MS)
    setsockopt(zmq.HEARTBEAT_IVL, int(os.environ.get("CLIENT_HEARTBEAT", "0")))
    for variable, option in TEXTS.items():
        if variable in os.environ:
            setsockopt(option, os.environ[variable].encode())
    if kind == "sub":
        setsockopt(zmq.SUBSCRIBE, b"")


async def run(library, kind, count):
    envelope = [b""] if kind == "dealer" else []

    async def send(number):
        await library.send([*envelope, b"", b"%d" % number, b""])

    async def receive():
        frames = list(await asyncio.wait_for(library.receive(), TIMEOUT_MS / 1000))
        number = int(frames[-2])
        assert frames == [*envelope, b"", b"%d" % number, b""], frames
        return number

    def expect(got, wanted):
        assert got == wanted, f"{got} came, and not {wanted}"

    first = await receive() if kind == "sub" else 0
    for i in itertools.count() if kind == "pub" else range(count):
        if kind in ("rep", "mirror"):
            await send(2 * await receive())
        elif kind == "pull":
            expect(await receive(), i)
        elif kind == "sub":
            expect(await receive(), (first + 1 + i) % count)
        else:
            await send(i % count)
            if kind in ("req", "pair", "dealer"):
                expect(await receive(), 2 * i)
                await asyncio.sleep(PAUSE)
            elif kind == "pub":
                await asyncio.sleep(0.001)


async def main():
    kind, endpoint, count = sys.argv[1:]
    library = await Library.open(kind, endpoint)
    await run(library, kind, int(count))
    await library.close()


asyncio.run(main())
