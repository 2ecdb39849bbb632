"""A password and a token open the door; others do not."""

from common import connect, run, settled, targets


async def refused(url, **options):
    try:
        client = await connect(url, allow_reconnect=False, max_reconnect_attempts=0, **options)
    except Exception as error:
        assert "authorization violation" in str(error).lower(), error
    else:
        await client.close()
        raise AssertionError("let in")


async def test():
    users, token = (target.url for target in targets())
    for url, good, bad in [
        (users, {"user": "bob", "password": "hush"}, {"user": "bob", "password": "loud"}),
        (token, {"token": "secret"}, {"token": "other"}),
    ]:
        client = await connect(url, **good)
        await settled(client)
        await client.close()
        await refused(url, **bad)
        await refused(url)


run(test)
