#!/usr/bin/env python3
"""Many clients of /api/v1/events at once: streams.py PORT CLIENTS. Says "ready" when all have their headers, reads until
standard input ends, then prints JSON: for each client its number of events, and when (monotonic seconds) the last client
got the record of each experiment."""
import json
import re
import selectors
import socket
import sys
import time

RECORD = re.compile(rb'event: experiment\n(?:id: \d+\n)?data: \{"id":(\d+)')
# As HTTP/1.0, whose answers have no chunks.
REQUEST = b"GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(REQUEST)
        self.socket.setblocking(False)
        self.rest, self.begun, self.closed = b"", False, False
        self.counts, self.records = {}, {}

    def read(self):
        try:
            part = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self.closed = True
            return
        now = time.monotonic()
        if not self.begun:
            head, end, part = (self.rest + part).partition(b"\r\n\r\n")
            self.rest = b"" if end else head
            self.begun = bool(end)
            self.closed = self.begun and b" 200 " not in head.split(b"\r\n")[0]
        *events, self.rest = (self.rest + part).split(b"\n\n")
        for event in events:
            name = re.search(rb"^event: (\w+)$", event, re.MULTILINE)
            if not name:
                continue
            name = name.group(1).decode()
            self.counts[name] = self.counts.get(name, 0) + 1
            record = RECORD.search(event)
            if record:
                self.records.setdefault(int(record.group(1)), now)


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    clients = [Client(port) for _ in range(count)]
    waiting = selectors.DefaultSelector()
    for client in clients:
        waiting.register(client.socket, selectors.EVENT_READ, client)
    waiting.register(sys.stdin, selectors.EVENT_READ, None)
    said = stopping = False
    while not stopping:
        for key, _ in waiting.select(timeout=1):
            if key.data is None:
                stopping = True
                continue
            key.data.read()
            if key.data.closed:
                waiting.unregister(key.fileobj)
        if not said and all(client.begun or client.closed for client in clients):
            said = True
            print("ready", flush=True)
    ids = set().union(*(client.records for client in clients))
    json.dump({"closed": sum(client.closed for client in clients),
               "counts": [client.counts for client in clients],
               "records": {number: {"clients": sum(number in client.records for client in clients),
                                    "last": max(client.records.get(number, 0) for client in clients)}
                           for number in ids}}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
