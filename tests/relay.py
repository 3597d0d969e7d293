"""Pass on connections, and print where they come from: relay.py HOST PORT TO_HOST TO_PORT."""

import asyncio
import contextlib
import sys


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what comes until no more does."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(host: str, port: str, to_host: str, to_port: str) -> None:
    """Listen until the end of the process."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        print(writer.get_extra_info("peername")[0], flush=True)
        there = await asyncio.open_connection(to_host, int(to_port))
        await asyncio.gather(pour(reader, there[1]), pour(there[0], writer))

    server = await asyncio.start_server(connected, host, int(port))
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
