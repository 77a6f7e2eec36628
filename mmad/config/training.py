"""Settings of the training loop."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.base import Settings


class TrainingSettings(Settings):
    """Optimiser, schedule and bookkeeping."""

    start: str | None = Field(
        None, description="run folder whose weights, head included, training starts from"
    )
    epochs: int = Field(ge=1, description="passes over the training videos")
    schedule_epochs: int | None = Field(
        None, ge=1, description="epochs at which the cosine would reach its end; null: epochs"
    )
    warmup_epochs: float = Field(5, ge=0, description="linear warm-up from 0")
    final_learning_rate: float = Field(1e-8, ge=0, description="at the end of the cosine")
    batch_videos: int = Field(
        2, ge=1, description="videos of a step, over all processes and micro-batches"
    )
    accumulate: int = Field(
        1, ge=1, description="micro-batches that each process splits its share into"
    )
    adapter_learning_rate: float = Field(2e-4, gt=0, description="of all tensors of the adapters")
    backbone_learning_rate: float = Field(1e-5, gt=0, description="of an unfrozen backbone")
    learning_rate: float = Field(1e-4, gt=0, description="of the detector")
    weight_decay: float = Field(
        0.05, ge=0, description="not on biases, norms and scales of the detector"
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description=(
            "rate of a block of an unfrozen backbone / that of the block behind it (fine-tuning of "
            "VideoMAE: 0.75)"
        ),
    )
    clip_gradient: float | None = Field(
        1.0, gt=0, description="largest norm of all gradients; null: none"
    )
    ema_decay: float = Field(
        0.999, ge=0, lt=1, description="of the averaged weights; 0: no averaging"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 on a GPU that has it, fp16 on another, fp32 on a CPU"
    )
    validate_from_epoch: int = Field(0, ge=0, description="first epoch after which to validate")
    validate_every: int = Field(1, ge=1, description="epochs between validations")
    checkpoint_steps: int = Field(
        200, ge=1, description="steps between checkpoints inside an epoch"
    )
    tensorboard: bool = Field(
        False, description="also write event files (needs pip install 'mmad[logging]')"
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; null leaves torch's choice")

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.batch_videos % self.accumulate:
            yield (
                f"batch_videos {self.batch_videos} is not a multiple of accumulate "
                f"{self.accumulate}"
            )
