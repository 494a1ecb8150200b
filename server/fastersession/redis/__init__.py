"""Sessions in Redis: the store, its scripts, and every way to a Redis."""

from fastersession.redis.store import RedisStore

__all__ = ["RedisStore"]
