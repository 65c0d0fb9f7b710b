"""A server that accepts connections, reads their bytes and answers nothing: python3 bystander.py SOCKET.

The cost of storms upon it is the machine's part of the cost of storms upon octroi.
"""

import selectors
import socket
import sys

with selectors.DefaultSelector() as looked_at, socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen(4096)
    looked_at.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in looked_at.select():
            if key.fileobj is listener:
                looked_at.register(listener.accept()[0], selectors.EVENT_READ)
            elif not key.fileobj.recv(4096):
                looked_at.unregister(key.fileobj)
                key.fileobj.close()
