"""What comes again is worth keeping, and what comes once is not."""

from dataclasses import dataclass, field


@dataclass
class Seen:
    """Which texts were there before: the last ones, by their hashes."""

    most: int = 2_000
    hashes: dict[int, None] = field(default_factory=dict)
    """The oldest first."""

    def again(self, text: str) -> bool:
        """Whether a text was there before; from now on it was."""
        key = hash(text)
        if key in self.hashes:
            return True
        if len(self.hashes) >= self.most:
            del self.hashes[next(iter(self.hashes))]
        self.hashes[key] = None
        return False
