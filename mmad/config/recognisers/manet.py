"""Settings of MANet's heads: actions, and a joint embedding with the words of their labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from mmad.config.recognisers.family import RecogniserFamilySettings


class MANetSettings(RecogniserFamilySettings):
    """A linear classifier, and a mapping of the same vector to the word vectors of its label."""

    name: Literal["manet"] = "manet"
    dropout: float = Field(0.5, ge=0, lt=1, description="rate before classifier and mapping")
    embedding: Literal["file", "random", "letters", "none"] = Field(
        "file",
        description=(
            "vectors of the labels: the mean of the word vectors of their words, from a file; "
            "random vectors, or counts of three letters, for quick trials; none: no mapping"
        ),
    )
    word_vectors: str | None = Field(
        None,
        description="file of word vectors as text, of GloVe or word2vec; needed for training only",
    )
    embedding_width: int = Field(300, ge=1, description="dimensions of a word vector")
    alpha: float = Field(
        5.0, ge=0, description="weight of the distance to the label's vector (released: 50)"
    )
    distance: Literal["sum", "mean"] = Field(
        "sum",
        description=(
            "squared distance: its sum over the dimensions, as printed, or their mean (released)"
        ),
    )
    maps: Literal["clips", "frames"] = Field(
        "clips",
        description=(
            "what is mapped: the mean of the steps, as printed, or every step, to take the mean "
            "afterwards (released)"
        ),
    )

    @property
    def trial(self) -> str | None:
        """As in `RecogniserFamilySettings`: vectors that are not those of words have no meaning."""
        if self.embedding not in ("random", "letters"):
            return None
        return (
            f"heads.embedding={self.embedding}: the vectors of the labels have no meaning, so this "
            "is a trial, not MANet"
        )

    def tiny(self) -> Self:
        """As in `RecogniserFamilySettings`: no file of word vectors is needed."""
        if self.embedding == "none":
            return self
        update = {"embedding": "letters", "word_vectors": None, "embedding_width": 8}
        return self.model_copy(update=update)

    def without_files(self) -> Self:
        """As in `RecogniserFamilySettings`: random vectors unless the file is there."""
        if self.word_vectors is None or Path(self.word_vectors).is_file():
            return self
        return self.model_copy(update={"embedding": "random", "word_vectors": None})

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.embedding == "file" and self.word_vectors is None:
            yield (
                "embedding file needs word vectors as text, such as glove.840B.300d.txt of "
                "https://nlp.stanford.edu/projects/glove: set heads.word_vectors=FILE; for quick "
                "trials without a file set heads.embedding=letters or random"
            )
        if self.embedding != "file" and self.word_vectors is not None:
            yield (
                f"word_vectors is not read with embedding {self.embedding}; set "
                "heads.embedding=file, or leave it out"
            )
