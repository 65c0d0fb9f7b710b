#!/usr/bin/python3
"""A bad link between a server and its bridge: frames come late, or get lost, in both directions or in one.

    bad = BadLink("peers1", "peers", loss_to=1)      # nothing reaches server 1 over its port; its own frames pass
    bad.close()                                      # as before

Between the port and the bridge there are then another bridge, two TAP devices, and this program between these.  The
kernel's netem would do the same, but some kernels are built without it.  Frames keep their order.
"""

import argparse
import collections
import fcntl
import os
import pathlib
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_MAX, QUEUE_MAX = 65536, 1000  # frames on their way; more are lost


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL, timeout=60)


class BadLink:
    """delay_ms: of each frame, jitter_ms more or less.  loss_to, loss_from: shares (0 to 1) of the frames to the
    server and from it that are lost."""

    def __init__(self, port, bridge, delay_ms=0, jitter_ms=0, loss_to=0, loss_from=0):
        self.port, self.bridge, self.side = port, bridge, f"{port}-side"
        ip("link", "add", self.side, "type", "bridge")
        ip("link", "set", self.side, "up")
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__)), self.side, bridge, f"{port}-a", f"{port}-b", "--delay-ms", str(delay_ms),
             "--jitter-ms", str(jitter_ms), "--loss", str(loss_from), str(loss_to)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        ip("link", "set", port, "master", self.side)

    def close(self):
        ip("link", "set", self.port, "master", self.bridge)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        ip("link", "delete", self.side)


def tap(name, bridge):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    ip("link", "set", name, "master", bridge, "up")
    return device


class Direction:
    """Frames from one device to the other."""

    def __init__(self, source, target, loss, options):
        self.source, self.target, self.loss, self.options = source, target, loss, options
        self.queue, self.last = collections.deque(), 0

    def take(self):
        try:
            frame = os.read(self.source, FRAME_MAX)
        except BlockingIOError:
            return
        if random.random() < self.loss or len(self.queue) >= QUEUE_MAX:
            return
        delay = self.options.delay_ms + random.uniform(-1, 1) * self.options.jitter_ms
        self.last = max(self.last, time.monotonic() + delay / 1000)
        self.queue.append((self.last, frame))

    def give(self, now):
        while self.queue and self.queue[0][0] <= now:
            try:
                os.write(self.target, self.queue.popleft()[1])
            except OSError:
                pass  # a lost frame


def relay(directions):
    poll = select.poll()
    for direction in directions:
        poll.register(direction.source, select.POLLIN)
    while True:
        due = min((d.queue[0][0] for d in directions if d.queue), default=None)
        wait = None if due is None else max(0, (due - time.monotonic()) * 1000)
        ready = {fd for fd, _ in poll.poll(wait)}
        for direction in directions:
            if direction.source in ready:
                direction.take()
            direction.give(time.monotonic())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs=4, metavar="NAME", help="the server's bridge, the other bridge, and names for two devices")
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--jitter-ms", type=float, default=0)
    parser.add_argument("--loss", type=float, nargs=2, default=(0, 0), metavar=("FROM", "TO"))
    options = parser.parse_args()
    near, far = (tap(name, bridge) for name, bridge in zip(options.names[2:], options.names[:2]))
    print("ready", flush=True)
    relay([Direction(near, far, options.loss[0], options), Direction(far, near, options.loss[1], options)])


if __name__ == "__main__":
    main()
