"""Settings of the training loop."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mmad.config.base import Settings


class TrainingSettings(Settings):
    """Settings of optimiser, schedule and checkpoints."""

    start: str | None = Field(
        None,
        description=(
            "run folder whose weights, head included, training starts from; one of a detector of "
            "body parts (data.level=body) gives each action the rows of its body part"
        ),
    )
    epochs: int = Field(ge=1, description="passes over the training videos")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimiser")
    momentum: float | None = Field(None, ge=0, lt=1, description="SGD: momentum; null: 0.9")
    second_moment_decay: float = Field(
        0.999,
        gt=0,
        lt=1,
        description="AdamW: decay of the mean of squared gradients (pre-training: 0.95)",
    )
    nesterov: bool = Field(False, description="SGD: Nesterov's momentum")
    schedule: Literal["cosine", "steps"] = Field(
        "cosine",
        description="after the warm-up: a cosine, or steps at milestones",
    )
    milestones: list[Annotated[int, Field(ge=1)]] = Field(
        [],
        description="steps: epochs after which the learning rates are multiplied by step_factor",
    )
    step_factor: float = Field(0.1, gt=0, lt=1, description="steps: rate / that before a milestone")
    schedule_epochs: int | None = Field(
        None, ge=1, description="epochs in which the cosine reaches its end; null: epochs"
    )
    cosine_from: Literal["warmup", "start"] = Field(
        "warmup",
        description=(
            "the cosine begins after the warm-up, or at the start and is multiplied by it "
            "(mmaction2)"
        ),
    )
    warmup_epochs: float = Field(5, ge=0, description="linear warm-up")
    warmup_start: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the learning rates at its first step (mmaction2: 0.1)",
    )
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
    weight_decay: float = Field(0.05, ge=0, description="weight decay")
    weight_decay_on: Literal["weights", "all", "all_but_tables", "all_but_norms"] = Field(
        "weights",
        description=(
            "what decays: weights of linear layers and convolutions; everything; everything but "
            "class token and position tables (mmaction2's TimeSformer); or but norms, too "
            "(mmaction2's Video Swin)"
        ),
    )
    bias_rate: float = Field(
        1.0, gt=0, description="learning rate of biases / that of the weights beside them (TSM: 2)"
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
    sharding: Literal["none", "full"] = Field(
        "none",
        description=(
            "full: each process of torchrun holds a share of every tensor of the backbone (FSDP2), "
            "for backbones that do not fit one GPU; changes no result"
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
    loggers: list[Literal["tensorboard", "wandb", "mlflow"]] = Field(
        [],
        description=(
            "where the log goes beside log.jsonl and its CSV files, such as [tensorboard, wandb] "
            "(requires pip install 'mmad[logging]')"
        ),
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; null leaves torch's choice")

    @model_validator(mode="before")
    @classmethod
    def _earlier_name(cls, content: Any) -> Any:
        """Files of version 0.1 have ``tensorboard: true`` or false instead of ``loggers``."""
        if isinstance(content, Mapping) and isinstance(content.get("tensorboard"), bool):
            content = dict(content)
            if content.pop("tensorboard"):
                content["loggers"] = [*content.get("loggers", []), "tensorboard"]
        return content

    @property
    def sgd_momentum(self) -> float:
        """``momentum``, as published if it is not set."""
        return 0.9 if self.momentum is None else self.momentum

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.batch_videos % self.accumulate:
            yield (
                f"batch_videos {self.batch_videos} is not a multiple of accumulate "
                f"{self.accumulate}"
            )
        if self.optimizer == "adamw" and (self.momentum is not None or self.nesterov):
            yield (
                "momentum and nesterov are those of SGD; leave them out, or set "
                "training.optimizer=sgd"
            )
        if len(set(self.loggers)) < len(self.loggers):
            yield f"loggers: each once, found {', '.join(self.loggers)}"
        if self.nesterov and self.momentum == 0:
            yield "nesterov needs a momentum above 0"
        yield from self._problems_of_steps()

    def _problems_of_steps(self) -> Iterator[str]:
        found = ", ".join(map(str, self.milestones))
        if self.schedule == "cosine":
            if self.milestones:
                yield (
                    f"milestones [{found}] are those of steps; set training.schedule=steps, or "
                    "training.milestones=[]"
                )
            return
        if not self.milestones:
            yield "schedule steps needs milestones; set training.milestones=[20,40], for example"
        if any(one >= other for one, other in pairwise(self.milestones)):
            yield f"milestones: expected ascending epochs, found [{found}]"
        if any(one >= self.epochs for one in self.milestones):
            yield (
                f"milestones: expected epochs before the last one, {self.epochs}; found [{found}]; "
                "set training.milestones with training.epochs"
            )
        for name in ("schedule_epochs", "cosine_from"):
            if getattr(self, name) not in (None, "warmup"):
                yield f"{name} is that of a cosine; leave it out with schedule steps"


class HeadTrainingSettings(TrainingSettings):
    """Settings of the training of classifiers on backbones."""

    last_layer_rate: float = Field(
        1.0, gt=0, description="learning rate of the last layer / that of the heads (TSM: 5)"
    )
