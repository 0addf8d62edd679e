"""Tiny vision models of transformers, with random weights and their image processors."""

from pathlib import Path

import torch

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
PATCHES = SIZES | {"image_size": 32, "patch_size": 8}
WORDS = SIZES | {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIDES = {"dinov2": 56, "dinov2_with_registers": 56, "convnext": 64}  # else 32
TYPES = (
    "dinov2",
    "dinov2_with_registers",
    "vit",
    "siglip",
    "siglip_vision_model",
    "clip",
    "clip_vision_model",
    "convnext",
)


def _models():
    import transformers as t

    dino = {**SIZES, "image_size": 56, "patch_size": 14, "mlp_ratio": 2}
    del dino["intermediate_size"]
    return {
        "dinov2": lambda: t.Dinov2Model(t.Dinov2Config(**dino)),
        "dinov2_with_registers": lambda: t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(**dino)
        ),
        "vit": lambda: t.ViTModel(t.ViTConfig(**PATCHES)),
        "classifier": lambda: t.ViTForImageClassification(t.ViTConfig(**PATCHES)),
        "siglip": lambda: t.SiglipModel(t.SiglipConfig(text_config=WORDS, vision_config=PATCHES)),
        "siglip_vision_model": lambda: t.SiglipVisionModel(t.SiglipVisionConfig(**PATCHES)),
        "clip": lambda: t.CLIPModel(
            t.CLIPConfig(text_config=WORDS, vision_config=PATCHES, projection_dim=16)
        ),
        "clip_vision_model": lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**PATCHES)),
        "convnext": lambda: t.ConvNextModel(
            t.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
        ),
        "bert": lambda: t.BertModel(t.BertConfig(**WORDS)),
    }


def write_tiny_vision_model(folder: Path, kind: str = "dinov2", *, seed: int = 0) -> Path:
    """A vision model and its image processor, as `save_pretrained` leaves them."""
    from transformers import BitImageProcessor, SiglipImageProcessor

    side = SIDES.get(kind, 32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _models()[kind]()
        with torch.no_grad():  # tokens and positions that begin at zero would hide a wrong order
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    cropped = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    whole = {"size": {"height": side, "width": side}}
    processor = SiglipImageProcessor(**whole) if "siglip" in kind else BitImageProcessor(**cropped)
    processor.save_pretrained(folder)
    return folder
