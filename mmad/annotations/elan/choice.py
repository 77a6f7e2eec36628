"""Which tiers of an ELAN file are read, and in which language."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class ElanChoice:
    """Which tiers of an ELAN file are read, and in which language.

    Attributes:
        tiers: Names of tiers, or patterns such as ``gesture*``; all if neither these nor types are
            given.
        tier_types: Linguistic types of tiers, or patterns.
        language: Language of the values of multilingual vocabularies, such as ``eng``; by default
            the first of each value.
    """

    tiers: tuple[str, ...] = ()
    tier_types: tuple[str, ...] = ()
    language: str | None = None

    @classmethod
    def of(
        cls,
        tiers: Sequence[str] | None,
        tier_types: Sequence[str] | None,
        language: str | None,
    ) -> "ElanChoice":
        """The choice made by options or settings, any of which may be absent."""
        return cls(tuple(tiers or ()), tuple(tier_types or ()), language)

    @property
    def is_made(self) -> bool:
        """Whether any tiers are chosen."""
        return bool(self.tiers or self.tier_types)

    def takes(self, path: Path) -> bool:
        """Whether the tiers of a file are chosen, so that all of them count as annotations."""
        return self.is_made and path.suffix.lower() == ".eaf"

    def has(self, tier: ElementTree.Element) -> bool:
        """Whether a tier is among the chosen ones."""
        name, kind = tier.get("TIER_ID", ""), tier.get("LINGUISTIC_TYPE_REF", "")
        return any(fnmatchcase(name, pattern) for pattern in self.tiers) or any(
            fnmatchcase(kind, pattern) for pattern in self.tier_types
        )
