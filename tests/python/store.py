"""Users of a store made by nsc, by their files of credentials. The files lie in the server's directory."""

import os

from common import connect, refused, run, settled, targets


async def test():
    [server] = targets()
    directory = os.readlink(f"/proc/{server.pid}/cwd")
    for user in ("clerk", "bearer"):
        client = await connect(server.url, user_credentials=f"{directory}/creds/{user}.creds")
        subscription = await client.subscribe("orders.*")
        await client.publish("orders.1", b"tea")
        assert (await subscription.next_msg(timeout=10)).data == b"tea"
        await settled(client)
        await client.close()
    for user in ("elsewhere", "browser", "gone"):
        await refused(server.url, user_credentials=f"{directory}/creds/{user}.creds")


run(test)
