"""TLS after INFO and before it, with a client certificate; without one, and with a stranger's, nobody comes in.
The certificates lie in the server's directory."""

import os
import ssl

from common import connect, run, settled, targets


async def test():
    [server] = targets()
    directory = os.readlink(f"/proc/{server.pid}/cwd")
    context = ssl.create_default_context(cafile=f"{directory}/ca.pem")
    context.load_cert_chain(f"{directory}/ann.pem", f"{directory}/ann.key")
    for first in (False, True):
        client = await connect(
            server.url.replace("nats:", "tls:"), tls=context, tls_hostname="localhost", tls_handshake_first=first
        )
        subscription = await client.subscribe("greet")
        await client.publish("greet", b"hello")
        assert (await subscription.next_msg(timeout=10)).data == b"hello"
        await settled(client)
        await client.close()
    for certificate in (None, "eve"):
        context = ssl.create_default_context(cafile=f"{directory}/ca.pem")
        if certificate:
            context.load_cert_chain(f"{directory}/{certificate}.pem", f"{directory}/{certificate}.key")
        try:
            client = await connect(
                server.url.replace("nats:", "tls:"),
                tls=context,
                tls_hostname="localhost",
                allow_reconnect=False,
                max_reconnect_attempts=0,
            )
            await settled(client)
        except Exception:
            continue
        raise AssertionError(f"let in with {certificate}")


run(test)
