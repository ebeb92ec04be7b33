"""What happens at sites, read once for each process and handed to all who subscribed there.

Every site with a subscriber has a topic. It reads the site's history on from its last number whenever something
is announced; history has no gaps and numbers grow with every commit, so each event is read exactly once and in
order. With the events it reads the subscribers' rights anew, for all of them by one statement. A subscriber has
nothing but a position of its own: it takes what follows from the topic's last events or, when these begin too
late, from the history. So one who is slow costs the others nothing.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from app.actor import Actor, Standing
from app.config import Settings
from app.db.pool import Pool
from app.errors import RequestError
from app.identity import standings_of_many
from app.live.changes import Change, changes_after, place
from app.live.listener import Listener

log = structlog.get_logger()
RECHECK = 5.0
"""Seconds after which rights are read anew although nothing happened: memberships end by themselves."""
RETRY = 0.5
"""Seconds until the history is read again after it could not be."""
STALL = 1.0
"""Seconds in which a client has to take what it is sent, to count as one who keeps up."""


@dataclass(eq=False)
class Topic:
    """A site with subscribers: its last events, up to the number `position`."""

    site_id: UUID
    position: int
    recent: deque[Change]
    subscribers: set["Subscriber"] = field(default_factory=set)
    announced: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Task[None] | None = None

    def publish(self, changes: list[Change]) -> None:
        """Hand on what was read."""
        self.recent.extend(changes)
        self.position = changes[-1].number
        self.wake()

    def wake(self) -> None:
        """Let every subscriber look what is new."""
        self.news.set()
        self.news = asyncio.Event()

    def next(self, position: int) -> Change | None:
        """The event after a position, if it is among the last ones."""
        if not self.recent or position < self.recent[0].number - 1:
            return None
        return self.recent[position + 1 - self.recent[0].number]


@dataclass(eq=False)
class Subscriber:
    """One who hears of a site, from a position on. `standings` are kept fresh by the feed."""

    feed: "Feed"
    topic: Topic
    user_id: UUID
    standings: Mapping[UUID, Standing]
    position: int
    stalled: bool = False
    replay: deque[Change] = field(default_factory=deque)

    async def next(self) -> Change:
        """The next event, as soon as there is one.

        Raises FORBIDDEN when the subscriber has no more access to the site, SLOW_CONSUMER when it fell too far behind.
        """
        while True:
            news = self.topic.news
            if self.topic.site_id not in self.standings:
                raise RequestError("FORBIDDEN", "You have no access to this site any more.")
            if self.position < self.topic.position:
                change = await self._following()
                self.position = change.number
                return change
            await news.wait()

    async def _following(self) -> Change:
        recent = self.topic.next(self.position)
        if recent is not None:
            self.replay.clear()
            return recent
        if self.stalled:
            text = "You took too long to read the events. Subscribe again after the last one you have seen."
            raise RequestError("SLOW_CONSUMER", text)
        if not self.replay:
            async with self.feed.turns:
                found = await changes_after(self.feed.pool, self.topic.site_id, self.position)
            self.replay.extend(found)
        return self.replay.popleft()

    def took(self, seconds: float) -> None:
        """Note how long the client took to receive an event."""
        self.stalled = seconds > STALL


@dataclass
class Feed:
    """All topics of this process. `turns` bounds how many connections are used at once for all that follows events."""

    pool: Pool
    settings: Settings
    topics: dict[UUID, Topic] = field(default_factory=dict)
    turns: asyncio.Semaphore = field(init=False)
    _listener: Listener = field(init=False)
    _rechecking: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._listener = Listener(self.settings, self._heard, self._read_all)
        # At most half of the connections, so that requests never wait for subscriptions.
        self.turns = asyncio.Semaphore(max(1, self.settings.database_pool_size // 2))

    async def join(self, site_id: UUID, actor: Actor, after: str | None) -> Subscriber:
        """Begin to hear of a site, after an event or from now on. Raises BAD_USER_INPUT for an unknown event."""
        assert actor.user_id is not None
        self._listener.start()
        self._rechecking = self._rechecking or asyncio.create_task(self._recheck())
        async with self.turns:
            last, position = await place(self.pool, site_id, after)
        topic = self.topics.get(site_id) or self._open(site_id, last)
        subscriber = Subscriber(self, topic, actor.user_id, actor.standings, position)
        topic.subscribers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Hear no more; the last one closes the topic."""
        topic = subscriber.topic
        topic.subscribers.discard(subscriber)
        if not topic.subscribers and topic.reading:
            topic.reading.cancel()
            # Which refers to the topic as well: neither is to wait for the garbage collection.
            topic.reading = None
            self.topics.pop(topic.site_id, None)

    async def close(self) -> None:
        """Stop everything that runs in the background."""
        await self._listener.close()
        tasks = [topic.reading for topic in self.topics.values()] + [self._rechecking]
        for task in filter(None, tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _open(self, site_id: UUID, last: int) -> Topic:
        topic = Topic(site_id, last, deque(maxlen=self.settings.subscription_backlog))
        self.topics[site_id] = topic
        topic.reading = asyncio.create_task(self._read(topic))
        # What was announced after its last number was read and before it was here, nobody heard.
        topic.announced.set()
        return topic

    def _heard(self, site_id: UUID, number: int) -> None:
        topic = self.topics.get(site_id)
        if topic and number > topic.position:
            topic.announced.set()

    def _read_all(self) -> None:
        for topic in self.topics.values():
            topic.announced.set()

    async def _read(self, topic: Topic) -> None:
        """Read on whenever something is announced, as long as there are subscribers."""
        while True:
            await topic.announced.wait()
            topic.announced.clear()
            try:
                await self._read_on(topic)
            except Exception as error:
                # Whatever it is, subscribers wait, and nothing is lost: it is read as soon as it can be.
                log.warning("events could not be read", error=repr(error))
                topic.announced.set()
                await asyncio.sleep(RETRY)

    async def _read_on(self, topic: Topic) -> None:
        async with self.turns:
            while changes := await changes_after(self.pool, topic.site_id, topic.position):
                await self._refresh(topic.subscribers)
                topic.publish(changes)

    async def _refresh(self, subscribers: Iterable[Subscriber]) -> None:
        """Give subscribers the rights of this moment."""
        members = list(subscribers)
        found = await standings_of_many(self.pool, {member.user_id for member in members})
        for member in members:
            member.standings = found[member.user_id]

    async def _recheck(self) -> None:
        """Let those go who have lost access without any event."""
        while True:
            await asyncio.sleep(RECHECK)
            try:
                await self._recheck_all(list(self.topics.values()))
            except Exception as error:
                log.warning("rights could not be read", error=repr(error))

    async def _recheck_all(self, topics: list[Topic]) -> None:
        async with self.turns:
            await self._refresh([member for topic in topics for member in topic.subscribers])
        for topic in topics:
            if any(topic.site_id not in member.standings for member in topic.subscribers):
                topic.wake()
