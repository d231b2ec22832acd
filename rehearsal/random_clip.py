"""CLIP with random weights and few layers, and its files in the official format."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPModel

IMAGE_SIZE, WIDTH = 28, 12
# Further keys in configurations from older versions.
OLD_KEYS = {"_name_or_path": "", "dropout": 0.0, "torch_dtype": None, "model_type": "clip_vision_model"}


def random_clip(*, image_size: int = IMAGE_SIZE) -> CLIPModel:
    """Build the model for images and texts, with weights so large that embeddings depend on the image."""
    shape = {
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": WIDTH,
    }
    configuration = CLIPConfig(
        text_config={"vocab_size": 50, "hidden_size": 16, "bos_token_id": 0, "eos_token_id": 1, **shape},
        vision_config={"hidden_size": 32, "image_size": image_size, "patch_size": 14, **shape},
        projection_dim=WIDTH,
    )
    torch.manual_seed(0)
    model: CLIPModel = CLIPModel(configuration)
    model.train(mode=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    return model


def write_as_released(model: CLIPModel, folder: Path) -> Path:
    """Write `config.json` and `pytorch_model.bin` as in OpenAI's release, with its buffer of positions."""
    folder.mkdir(parents=True)
    configuration = model.config.to_dict()
    configuration["vision_config"].update(OLD_KEYS)
    (folder / "config.json").write_text(json.dumps(configuration))
    vision: Any = model.config.vision_config
    num_positions = vision.image_size**2 // 14**2 + 1
    positions = {"vision_model.embeddings.position_ids": torch.arange(num_positions)[None]}
    torch.save({**model.state_dict(), **positions}, folder / "pytorch_model.bin")
    return folder
