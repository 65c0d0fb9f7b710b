"""A server that takes connections, reads what they say and says nothing: python3 bystander.py SOCKET.

What storms upon it cost is the machine's part of what storms upon octroi cost.
"""

import selectors
import socket
import sys

with selectors.DefaultSelector() as looked_at, socket.socket(socket.AF_UNIX) as door:
    door.bind(sys.argv[1])
    door.listen(4096)
    looked_at.register(door, selectors.EVENT_READ)
    while True:
        for key, _ in looked_at.select():
            if key.fileobj is door:
                looked_at.register(door.accept()[0], selectors.EVENT_READ)
            elif not key.fileobj.recv(4096):
                looked_at.unregister(key.fileobj)
                key.fileobj.close()
