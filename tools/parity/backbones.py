"""VideoMAE in three namings, with and without adapters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.features import VideoFeatures
from mmad.weights.load import fill_backbone
from mmad.weights.naming import backbone_names
from parity.common import Check, Checks, as_file, largest


def backbone_settings(inner: Mapping[str, Any], *, has_adapters: bool = True) -> dict[str, Any]:
    """OpenTAD's or mmaction's settings of a backbone as ours."""
    tia = {"name": "tia", "blocks": inner.get("adapter_index", "all")}
    return {
        "size": {
            "width": inner["embed_dims"],
            "depth": inner["depth"],
            "num_heads": inner["num_heads"],
            "patch": inner["patch_size"],
            "mlp_ratio": inner["mlp_ratio"],
        },
        "position_image_size": inner["img_size"],
        "clip_frames": inner["num_frames"],
        "drop_path": inner["drop_path_rate"],
        "adapter": tia if has_adapters else {"name": "none"},
    }


def upsampling(config: Mapping[str, Any], *, total_frames: int) -> float:
    """Feature steps for each step of OpenTAD's backbone: what its Interpolate makes of them."""
    steps = total_frames / VideoMAESettings(size="small").frames_per_step
    pipeline = config.get("custom", {}).get("post_processing_pipeline", [])
    sizes = [part["size"] for part in pipeline if part["type"] == "Interpolate"]
    return sizes[-1] / steps if sizes else 1.0


def read_backbone(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], *, total_frames: int
) -> VideoFeatures:
    """OpenTAD's or mmaction's backbone as ours, with its adapters."""
    has_adapters = any(".adapter." in name for name in weights)
    settings = backbone_settings(config["backbone"], has_adapters=has_adapters)
    backbone = build_backbone(VideoMAESettings(**settings))
    fill_backbone(backbone, as_file(weights))
    factor = upsampling(config, total_frames=total_frames)
    return VideoFeatures(backbone, upsampling=factor, mask_padding=False)


def fixed_colours(config: Mapping[str, Any], count: int) -> Tensor:
    """The affine map that normalises as the config says, (count, 3, 4)."""
    mean, std = (torch.tensor(config["data_preprocessor"][key]) for key in ("mean", "std"))
    one = torch.cat((torch.diag(1 / std), (-mean / std)[:, None]), dim=1)
    return one.expand(count, 3, 4)


def to_clips(frames_uint8: Tensor, *, clip_frames: int) -> Tensor:
    """(B, 1, 3, T, H, W) as our packed clips (N, F, H, W, 3)."""
    frames = frames_uint8[:, 0].permute(0, 2, 3, 4, 1)
    return frames.reshape(-1, clip_frames, *frames.shape[2:]).contiguous()


def run_features(
    features: VideoFeatures, config: Mapping[str, Any], frames_uint8: Tensor
) -> Tensor:
    clips = to_clips(frames_uint8, clip_frames=config["backbone"]["num_frames"])
    count, total = len(frames_uint8), frames_uint8.shape[3]
    per_window = [len(clips) // count] * count
    out, _ = features(clips, fixed_colours(config, count), per_window, [total] * count)
    return out


def check_vit_adapter(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    config = data["config"]
    total = data["frames_uint8"].shape[3]
    features = read_backbone(config, data["state_dict"], total_frames=total).eval()
    with torch.no_grad():
        yield Check(
            "features, evaluation",
            largest(run_features(features, config, data["frames_uint8"]), data["output"]),
            1e-4,
        )
    if "grads" in data:
        features.train()
        out = run_features(features, config, data["frames_uint8"])
        if "train_output" in data:
            yield Check("features, training", largest(out, data["train_output"]), 1e-4)
        line = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
        loss = ((out - line) ** 2).mean()
        yield Check("loss", largest(loss, data["loss_mse_to_linspace"]), 1e-4)
        loss.backward()
        theirs = backbone_names(
            {"model.backbone.blocks.0.mlp.layers.0.0.weight": torch.zeros(1), **data["grads"]}
        )
        assert theirs is not None
        own = dict(features.backbone.named_parameters())
        worst = max(
            largest(own[name].grad, value, relative=True)
            for name, value in theirs.tensors.items()
            if ".adapter." in name
        )
        yield Check("gradients of the adapters, relative", worst, 1e-4)
    if "requires_grad" in data:
        names = backbone_names(
            dict.fromkeys(data["requires_grad"], torch.zeros(1))
            | {"model.backbone.blocks.0.mlp.layers.0.0.weight": torch.zeros(1)}
        )
        assert names is not None
        trained = {name for name in names.tensors if ".adapter." in name}
        ours = {n for n, p in features.backbone.named_parameters() if p.requires_grad}
        yield Check("trained parameters, by name", float(len(trained ^ ours)), 0)


def check_mmaction(path: Path) -> Checks:
    """mmaction's own backbone on the frames and weights of the vitadapter file beside it."""
    sibling = path.with_name(path.name.replace("mmaction_vit_", "vitadapter_"))
    if not sibling.is_file():
        raise ValueError(f"needs {sibling.name} beside it, which holds weights and frames")
    data, output = torch.load(sibling, weights_only=True), torch.load(path, weights_only=True)
    config = data["config"]
    weights = {name: value for name, value in data["state_dict"].items() if ".adapter." not in name}
    total = data["frames_uint8"].shape[3]
    backbone = read_backbone(config, weights, total_frames=total).backbone.eval()
    clips = to_clips(data["frames_uint8"], clip_frames=backbone.spec.clip_frames).float()
    colour = fixed_colours(config, 1)[0]
    frames = (clips @ colour[:, :3].t() + colour[:, 3]).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        out = backbone(frames, torch.zeros(len(clips), dtype=torch.long))
    ours = rearrange(out.tokens_NTSC, "n t (h w) c -> n c t h w", h=out.grid_hw[0])
    yield Check("feature map without adapters", largest(ours, output["output"]), 1e-4)


def check_namings(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    heads = data.get("num_heads") or guess_heads(data)
    outputs = []
    for naming in ("official", "mmaction", "hf"):
        tokens, pooled, logits = run_naming(data, naming, num_heads=heads)
        outputs.append(tokens)
        yield Check(f"{naming}: features", largest(pooled, data["official_features"]), 1e-4)
        yield Check(f"{naming}: logits", largest(logits, data["official_logits"]), 1e-4)
    gap = max(largest(outputs[0], other) for other in outputs[1:])
    yield Check("the namings give identical features", gap, 0.0)


def guess_heads(data: Mapping[str, Any]) -> int:
    """The number of heads that fits the stored outputs best: weights do not tell it."""
    width = data["official"]["patch_embed.proj.weight"].shape[0]
    fits = {
        heads: largest(run_naming(data, "official", num_heads=heads)[1], data["official_features"])
        for heads in range(1, width // 4 + 1)
        if width % heads == 0
    }
    return min(fits, key=lambda heads: fits[heads])


def run_naming(
    data: Mapping[str, Any], naming: str, *, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, pooled features and logits with the weights in one of the namings."""
    x, official = data["x"], data["official"]
    found = backbone_names(data[naming])
    assert found is not None
    patches = found.tensors["patch_embed.proj.weight"]
    width = patches.shape[0]
    size = {
        "width": width,
        "depth": len({n.split(".")[1] for n in found.tensors if n.startswith("blocks.")}),
        "num_heads": num_heads,
        "patch": patches.shape[-1],
        "mlp_ratio": found.tensors["blocks.0.mlp.fc1.weight"].shape[0] / width,
    }
    settings = VideoMAESettings(
        size=size, position_image_size=x.shape[-1], clip_frames=x.shape[2], drop_path=0.0
    )
    backbone = build_backbone(settings).eval()
    fill_backbone(backbone, as_file(data[naming]))
    with torch.no_grad():
        tokens = backbone(x, torch.zeros(len(x), dtype=torch.long)).tokens_NTSC
        scale, shift = official["fc_norm.weight"], official["fc_norm.bias"]
        mean = tokens.flatten(1, 2).mean(dim=1)
        pooled = functional.layer_norm(mean, (width,), scale, shift, 1e-6)
        logits = functional.linear(pooled, official["head.weight"], official["head.bias"])
    return tokens, pooled, logits
