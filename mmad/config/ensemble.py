"""Settings of an ensemble, as in a YAML file: its members, their weights, and what is averaged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from mmad.config.base import Settings
from mmad.config.explain import explain
from mmad.config.reading import find_config
from mmad.errors import ConfigError, raise_problems
from mmad.parsing import read_text, yaml_value


class EnsembleMember(Settings):
    """Predictions that are a part of an ensemble."""

    predictions: str = Field(description="file of scores or detections, or a run folder with some")
    weight: float = Field(1.0, ge=0, description="weight; only the ratios of all weights count")


class EnsembleConfig(Settings):
    """Members, and how their predictions are combined."""

    task: Literal["ensemble"] = Field("ensemble", description="what the file describes")
    subset: str = Field("test", description="of run folders, the subset whose predictions are used")
    average: Literal["probability", "score"] = Field(
        "probability",
        description=(
            "of recognisers: the mean of probabilities, or of scores before their softmax (TSN)"
        ),
    )
    members: list[EnsembleMember] = Field(min_length=2, description="predictions and weights")

    @property
    def weights(self) -> list[float]:
        """Weight of each member."""
        return [member.weight for member in self.members]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if not any(self.weights):
            yield "members: all have the weight 0; give one of them more"

    def files(self, *, source: Path) -> list[Path]:
        """The file of predictions of each member; ``source`` is the file of the ensemble.

        Raises: ConfigError with all run folders that have no predictions of the subset.
        """
        found = [self._files_of(Path(member.predictions)) for member in self.members]
        raise_problems(
            ConfigError,
            source=str(source),
            problems=[
                f"{member.predictions}: no predictions of subset {self.subset}; run mmad predict "
                f"{member.predictions} --subset {self.subset}, or change subset"
                for member, files in zip(self.members, found, strict=True)
                if not files
            ],
        )
        return [files[0] for files in found]

    def _files_of(self, path: Path) -> list[Path]:
        """Those of a run folder, scores before detections, or the file itself."""
        if not path.is_dir():
            # Whether it is there, the reader of its kind says.
            return [path] if path.suffix else []
        names = [path / "predictions" / f"{self.subset}{suffix}" for suffix in (".npz", ".csv")]
        return [name for name in names if name.is_file()]


def read_ensemble(path: str | Path) -> EnsembleConfig:
    """The ensemble in a YAML file, one's own or a shipped one.

    Raises: ConfigError with every problem in one message.
    """
    source = find_config(path)
    content = yaml_value(source, read_text(source, error=ConfigError), error=ConfigError)
    if not isinstance(content, dict):
        raise ConfigError(f"{source}: expected settings (key: value), found {content!r:.40}")
    problems: list[str] = []
    try:
        config = EnsembleConfig.model_validate(content)
    except ValidationError as error:
        items = error.errors(include_url=False)
        problems = [explain(item, EnsembleConfig) for item in items]
    raise_problems(ConfigError, source=str(source), problems=problems)
    return config
