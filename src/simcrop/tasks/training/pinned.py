"""What a run reads again each time it goes on, by its content: a path stays the same when somebody replaces the file.

No axes or units. What the network starts from is not among it: a checkpoint holds what has become of that.
"""

from pathlib import Path

from simcrop.config import Recipe, defaults, flat
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.protocol import read_protocol
from simcrop.files.digest import digest_of_bytes, digest_of_files, digest_while_unchanged
from simcrop.tasks.folder import read_run
from simcrop.weights.embedded import text_encoder_folder

PINNED = "digests."  # before each name, among the settings in `run.json`


def pinned(recipe: Recipe) -> dict[str, str]:
    """Text encoder, vocabulary, texts by organ and sentences that ask for labels, as far as the method reads them.
    Raises SimcropError where one is not there.
    """
    needs = recipe.text_needs
    if needs is None:
        return {}
    folder = text_encoder_folder(recipe.text.model)
    found = {"text.vocabulary": Tokenizer.load(folder).fingerprint}
    if needs.encoder:
        found["text.encoder"] = digest_of_encoder(folder)
    if needs.organs is not None and needs.organs.descriptions and needs.organs.conclusions:
        found["organs.descriptions"] = digest_of(Path(needs.organs.descriptions))
        found["organs.conclusions"] = digest_of(Path(needs.organs.conclusions))
    if needs.prompts:
        asking = read_protocol(needs.prompts).model_dump_json(exclude={"note", "whose"})
        found["align.prompts.protocol"] = digest_of_bytes(asking.encode())
    return {f"{PINNED}{name}": digest for name, digest in found.items()}


def unset_before(out: Path, recipe: Recipe) -> set[str]:
    """Settings that did not exist when the run in `out` was begun, by an older simcrop, and that are as if nobody set
    them: it goes on as it was.
    """
    run, usual = read_run(out), defaults(type(recipe))
    if run is None:
        return set()
    new = {name: value for name, value in flat(recipe).items() if name not in run["settings"]}
    return {name for name, value in new.items() if name in usual and value == usual[name]}


def digest_of_encoder(folder: Path) -> str:
    """Of its shape and its weights; whoever reads it says what is wrong where one is missing."""
    config, weights = folder / "config.json", folder / "model.safetensors"
    if not (config.is_file() and weights.is_file()):
        return ""
    return digest_of_bytes(f"{digest_of_files(config)} {digest_while_unchanged(weights)}".encode())


def digest_of(path: Path) -> str:
    try:
        return digest_while_unchanged(path)
    except OSError as error:
        raise SimcropError("bad-json", f"{path}: cannot be read: {error.strerror}") from error
