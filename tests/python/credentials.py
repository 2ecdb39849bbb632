"""A password, a token and an nkey open the door; others do not. The seeds lie in the server's directory."""

import os

from common import connect, refused, run, settled, targets


async def test():
    servers = targets()
    users, token, nkey = (target.url for target in servers)
    seeds = os.readlink(f"/proc/{servers[2].pid}/cwd")
    for url, good, bad in [
        (users, {"user": "bob", "password": "hush"}, {"user": "bob", "password": "loud"}),
        (token, {"token": "secret"}, {"token": "other"}),
        (nkey, {"nkeys_seed": f"{seeds}/known.nk"}, {"nkeys_seed": f"{seeds}/unknown.nk"}),
    ]:
        client = await connect(url, **good)
        await settled(client)
        await client.close()
        await refused(url, **bad)
        await refused(url)


run(test)
