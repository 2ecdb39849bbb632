"""Runs a server under callgrind, sends it a number of messages and prints how many instructions it took.

One publisher, one subscriber; a batch is sent only when the one before has arrived, so that the server
reads and writes in the same pieces each time.
"""

import re
import socket
import subprocess
import sys

BATCH = 100
PAYLOAD = b"x" * 128


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
    received = b""
    while b"PONG\r\n" not in received:
        received += connection.recv(65536)
    return connection


def converse(port, messages):
    subscriber, publisher = connect(port), connect(port)
    subscriber.sendall(b"SUB orders.*.new 1\r\nPING\r\n")
    received = b""
    while not received.endswith(b"PONG\r\n"):
        received += subscriber.recv(65536)
    batch = b"".join(
        b"PUB orders.%d.new %d\r\n%s\r\n" % (index % 10, len(PAYLOAD), PAYLOAD) for index in range(BATCH)
    )
    # What each of them is delivered as: the subscription's id stands before the size.
    wanted = len(batch) + BATCH * (len(b"MSG 1 ") - len(b"PUB "))
    for _ in range(messages // BATCH):
        publisher.sendall(batch)
        missing = wanted
        while missing > 0:
            received = subscriber.recv(65536)
            # A keep-alive question may come at any time.
            missing -= len(received) - received.count(b"\r\nPING\r\n") * len(b"PING\r\n")
            assert received, "the server closed the subscriber"


def main():
    server, messages = sys.argv[1], int(sys.argv[2])
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", server]
    command += ["serve", "-a", "127.0.0.1", "-p", "-1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = []
    try:
        for line in process.stderr:
            log.append(line)
            listening = re.search(r"Listening for client connections on .*:(\d+)", line)
            if listening:
                port = int(listening[1])
            if "Server is ready" in line:
                converse(port, messages)
                process.terminate()
        process.wait()
    finally:
        process.kill()
    collected = re.search(r"Collected : (\d+)", "".join(log))
    assert collected, "".join(log)
    print(collected[1])


main()
