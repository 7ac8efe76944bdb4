"""The layouts of models that are known, one module each."""

from __future__ import annotations

from artifact_store.history.layouts import (
    dcp,
    deepspeed,
    diffusers,
    gguf,
    keras,
    lightning,
    megatron,
    mlflow,
    onnx,
    orbax,
    peft,
    sagemaker,
    transformers,
    triton,
)
from artifact_store.history.sets import Layout

LAYOUTS: tuple[Layout, ...] = (
    transformers.LAYOUT,
    peft.LAYOUT,
    diffusers.LAYOUT,
    gguf.LAYOUT,
    onnx.LAYOUT,
    keras.LAYOUT,
    dcp.LAYOUT,
    lightning.LAYOUT,
    deepspeed.LAYOUT,
    megatron.LAYOUT,
    orbax.LAYOUT,
    sagemaker.LAYOUT,
    triton.LAYOUT,
    mlflow.LAYOUT,
)
"""In the order in which they are tried; a folder may hold several."""
