"""The name of the speech recogniser that the server runs, for people."""

from convai.client import AsyncConvaiClient, ConvaiError
from convai.client.steps import recogniser_of


async def read_recogniser_name(client: AsyncConvaiClient) -> str | None:
    """Return the name, such as "Jasper"; None while the server does not answer, for instance because it restarts."""
    try:
        return recogniser_of(await client.read_counters()).name.capitalize()
    except ConvaiError:
        return None
