"""asyncpg: the pool asks for a token for each connection that it opens."""

import asyncio
import os

import asyncpg


async def fetch_token():
    command = os.environ["TOKEN_COMMAND"]
    process = await asyncio.create_subprocess_exec(command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip()


async def main():
    dsn = os.environ["URL"]
    pool = await asyncpg.create_pool(dsn, password=fetch_token, min_size=1)
    async with pool, pool.acquire() as first, pool.acquire() as second:
        for connection in (first, second):
            print(await connection.fetchval(os.environ["QUERY"]))


asyncio.run(main())
