"""Settings of the training loop."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.base import Settings


class TrainingSettings(Settings):
    """Settings of optimiser, schedule and checkpoints."""

    start: str | None = Field(
        None, description="run folder whose weights, head included, training starts from"
    )
    epochs: int = Field(ge=1, description="passes over the training videos")
    schedule_epochs: int | None = Field(
        None, ge=1, description="epochs in which the cosine reaches its end; null: epochs"
    )
    warmup_epochs: float = Field(5, ge=0, description="linear warm-up from 0")
    final_learning_rate: float = Field(
        1e-8, ge=0, description="learning rate at the end of the cosine"
    )
    batch_videos: int = Field(
        2, ge=1, description="videos per step, over all processes and micro-batches"
    )
    accumulate: int = Field(
        1, ge=1, description="micro-batches that each process splits its share into"
    )
    adapter_learning_rate: float = Field(2e-4, gt=0, description="learning rate of the adapters")
    backbone_learning_rate: float = Field(
        1e-5, gt=0, description="learning rate of a trained backbone"
    )
    learning_rate: float = Field(1e-4, gt=0, description="learning rate of the detector")
    weight_decay: float = Field(
        0.05, ge=0, description="weight decay; none on biases, norms and scales of the detector"
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description=(
            "learning rate of a block of a trained backbone / that of the next block (fine-tuning "
            "of VideoMAE: 0.75)"
        ),
    )
    clip_gradient: float | None = Field(
        1.0, gt=0, description="maximum norm of all gradients; null: no clipping"
    )
    ema_decay: float = Field(
        0.999, ge=0, lt=1, description="decay of the averaged weights (EMA); 0: no averaging"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 on GPUs that support it, fp16 on others, fp32 on a CPU"
    )
    validate_from_epoch: int = Field(0, ge=0, description="first epoch after which to validate")
    validate_every: int = Field(1, ge=1, description="epochs between validations")
    checkpoint_steps: int = Field(
        200, ge=1, description="steps between checkpoints within an epoch"
    )
    tensorboard: bool = Field(
        False, description="also write event files (requires pip install 'mmad[logging]')"
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
