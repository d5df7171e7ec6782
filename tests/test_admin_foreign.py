"""The admin listener and web pages of other origins, and many that ask at once; over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping

import httpx
import pytest

from tests.support.admin import LOCKED, Jobs, house, is_error, job
from tests.support.asgi_server import served

PAGES = (*LOCKED, "/metrics")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin listener on this machine."""
    async with (
        served(house().app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "something-new"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
async def test_a_web_page_of_another_origin_is_refused(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    """A page in a browser on this machine can make it ask, and is not answered."""
    assert is_error(await client.get(path, headers=headers), 403, "GatewayForbidden")


@pytest.mark.parametrize("path", PAGES)
async def test_the_page_itself_and_links_to_it(client: httpx.AsyncClient, path: str) -> None:
    """The page of ours, an address that was typed, and a link from anywhere are answered."""
    own = {"origin": f"http://{client.base_url.netloc.decode()}"}
    for headers in (
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        own,
    ):
        assert (await client.get(path, headers=headers)).status_code == 200


async def test_probes_ask_from_anywhere(client: httpx.AsyncClient) -> None:
    """What is alive and ready may be asked by whoever can ask."""
    for path in ("/livez", "/readyz"):
        assert (await client.get(path, headers={"origin": "http://evil.example"})).status_code == 200


class Many(Jobs):
    """Jobs that are made one by one, and how many lists of them are being made."""

    made = 0
    at_once = 0
    most_at_once = 0

    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Iterable[Mapping[str, object]], int]:
        del kinds, statuses
        return self._listed(limit), 5_000

    def _listed(self, limit: int) -> Iterable[Mapping[str, object]]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for number in range(limit):
            self.made += 1
            yield job("import", f"job-{number}-é")
        self.at_once -= 1


async def test_a_long_list_lets_requests_pass() -> None:
    """A thousand jobs are made piece by piece: others are answered meanwhile, and the list is whole."""
    many = Many()
    async with (
        served(house(jobs=many).app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        asked = asyncio.create_task(client.get("/api/jobs"))
        between = set()
        while not asked.done():
            between.add(many.made)
            await asyncio.sleep(0)
        document = (await asked).json()
    assert document == {"value": [job("import", f"job-{n}-é") for n in range(1_000)], "total": 5_000}
    assert len(between) > 20


async def test_one_answer_at_a_time() -> None:
    """However many ask for a list at once, one is made at a time, and all are answered."""
    many = Many()
    async with (
        served(house(jobs=many).app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        answers = await asyncio.gather(*(client.get("/api/jobs?limit=200") for _ in range(8)))
    assert [len(answer.json()["value"]) for answer in answers] == [200] * 8
    assert many.most_at_once == 1
