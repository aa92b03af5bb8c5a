"""An HTTP server on loopback with as many distinct images as are asked for, cheap enough to stand beside what is measured.

/demo/N is the demo's JPEG and PNG images in turn, /large/N one of four PNG renders of 1024 x 1024; each with a comment that
holds N, so that no two files are the same and none is cached, while every one is decoded in full.

    python3 imageserver.py PORT
"""
import asyncio
import glob
import os
import struct
import sys
import zlib

ROOT = os.path.normpath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
DEMO = sorted(glob.glob(f"{ROOT}/demo/images/**/*.jpg", recursive=True) + glob.glob(f"{ROOT}/demo/images/**/*.png", recursive=True))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def render(size, radius):
    """A shaded disc before a white background, as PNG: RGB, 8 bits."""
    rows = bytearray()
    ramp = bytes(c for i in range(size) for c in (i * 255 // size, 90, 255 - i * 255 // size))
    for y in range(size):
        half = int(max(0, radius ** 2 - (y - size // 2) ** 2) ** 0.5)
        left = (size // 2 - half) * 3
        rows += b"\0" + b"\xff" * left + ramp[left:left + half * 6] + b"\xff" * (size * 3 - left - half * 6)
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")


def distinct(image, number):
    """The image with a comment: after SOI in a JPEG, after IHDR in a PNG."""
    text = b"%d" % number
    if image.startswith(b"\xff\xd8"):
        return image[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + image[2:]
    return image[:33] + chunk(b"tEXt", b"Comment\0" + text) + image[33:]


class Server(asyncio.Protocol):
    images = {}

    def connection_made(self, transport):
        self.transport, self.pending = transport, b""

    def data_received(self, data):
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            request, self.pending = self.pending.split(b"\r\n\r\n", 1)
            _, kind, number = request.split(b" ", 2)[1].decode().split("/")
            choice = self.images[kind]
            body = distinct(choice[int(number) % len(choice)], int(number))
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def main(port):
    Server.images = dict(demo=[open(f, "rb").read() for f in DEMO], large=[render(1024, r) for r in (200, 300, 400, 500)])
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
