"""The layouts of models that are known, one module each."""

from __future__ import annotations

from artifact_store.history.layouts import (
    dcp,
    deepspeed,
    diffusers,
    dvc,
    gguf,
    keras,
    lightning,
    megatron,
    mlflow,
    onnx,
    orbax,
    peft,
    sagemaker,
    tensorflow,
    transformers,
    triton,
)
from artifact_store.history.sets import Layout

LAYOUTS: tuple[Layout, ...] = (
    mlflow.LAYOUT,
    triton.LAYOUT,
    diffusers.LAYOUT,
    transformers.LAYOUT,
    peft.LAYOUT,
    gguf.LAYOUT,
    onnx.LAYOUT,
    keras.LAYOUT,
    sagemaker.LAYOUT,
    dcp.LAYOUT,
    lightning.LAYOUT,
    deepspeed.LAYOUT,
    megatron.LAYOUT,
    orbax.LAYOUT,
    tensorflow.LAYOUT,
    dvc.LAYOUT,
)
"""In the order in which they are tried; a folder may hold several."""
