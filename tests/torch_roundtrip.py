"""Weights from MONAI to voco and back; run by tests/cli_torch.sh, which says what for.

Usage: torch_roundtrip.py VOCO FOLDER
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys

import h5py
import numpy
import torch
from monai.networks.nets import SwinUNETR

VOCO, HERE = sys.argv[1:]
CLASSES, FEATURE = 4, 12
done = 0


def ok(condition, name):
    global done
    done += 1
    print(f"{'ok' if condition else 'not ok'} {done} - {name}", flush=True)


def voco(*words, status=0):
    run = subprocess.run([VOCO, *words], cwd=HERE, capture_output=True, text=True)
    if run.returncode != status:
        print(f"# voco {' '.join(words)}: {run.returncode}, expected {status}\n# "
              + run.stderr.replace("\n", "\n# "))
    return run.stdout + run.stderr if run.returncode == status else ""


def network():
    return SwinUNETR(in_channels=1, out_channels=CLASSES, feature_size=FEATURE, use_v2=True).eval()


def load(name):
    return torch.load(f"{HERE}/{name}", weights_only=True)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def strict(net, state):
    net.load_state_dict(state, strict=True)         # raises where it does not fit
    return net


def without_decoder(net):
    for part in ("decoder1", "decoder2", "decoder3", "decoder4", "decoder5", "out"):
        delattr(net, part)
    return net


def embedding(net, x):
    """The means of the five maps that pre-training sees."""
    with torch.no_grad():
        h = net.swinViT(x, net.normalize)
        maps = (net.encoder1(x), net.encoder2(h[0]), net.encoder3(h[1]), net.encoder4(h[2]),
                net.encoder10(h[4]))
    return torch.cat([m.mean(dim=(2, 3, 4)) for m in maps], dim=1)


torch.manual_seed(1)
net = network()
whole = net.state_dict()
backbone = {k: v for k, v in whole.items() if not k.startswith(("decoder", "out"))}
heads = {f"{who}.layer{i}.0.{kind}": torch.randn(*((16, 16) if kind == "weight" else (16,)))
         for who in ("student", "teacher") for i in (1, 2, 3) for kind in ("weight", "bias")}
for who in ("student", "teacher"):
    heads[f"{who}.layer1.0.weight"] = torch.randn(16, 24 * FEATURE)

# the layouts of published files
torch.save(whole, f"{HERE}/comni.pt")
torch.save(backbone, f"{HERE}/head.pt")
torch.save({"global_step": 20000, "state_dict": collections.OrderedDict(
    [("module.backbone." + k, v) for k, v in backbone.items()]
    + [("module." + k, v) for k, v in heads.items()])}, f"{HERE}/ddp.pt")
torch.save({"net": {("module." + k).replace("swinViT", "swin_vit"): v
                    for k, v in whole.items()}}, f"{HERE}/other.pt")
torch.save({k: v for k, v in backbone.items() if "encoder10" not in k}, f"{HERE}/less.pt")
torch.save({"student": {"module.backbone." + k: v for k, v in backbone.items()},
            "teacher": {"module.backbone." + k: torch.zeros_like(v) for k, v in backbone.items()},
            "args": argparse.Namespace(arch="x"), "epoch": 9}, f"{HERE}/dino.pt")
torch.save({"network_weights": whole, "trainer_name": "x"}, f"{HERE}/nnunet.pt")
first = SwinUNETR(in_channels=1, out_channels=CLASSES, feature_size=FEATURE).state_dict()
torch.save({"net": {**{"module.backbone." + k: v for k, v in first.items()
                       if not k.startswith("out")},
                    "module.organ_embedding": torch.randn(CLASSES, 8)}}, f"{HERE}/suprem.pt")
torch.save({**backbone, "more": torch.zeros(2), "encoder1.layer.conv1.conv.weight":
            torch.zeros(FEATURE, 2, 3, 3, 3)}, f"{HERE}/wide.pt")
torch.save(net, f"{HERE}/object.pt")

ok("Swin UNETR v2, encoder and decoder" in voco("model", "inspect", "comni.pt"), "inspect")
ok("(100.0 %" in voco("model", "import", "comni.pt", "-o", "comni.safetensors"),
   "import of a whole network")
voco("model", "export", "comni.safetensors", "-o", "comni-out.pt")
ok(same(strict(network(), load("comni-out.pt")).state_dict(), whole),
   "it comes back bit by bit, and load_state_dict is strict")
for name in ("head.pt", "ddp.pt"):
    ok("(100.0 %" in voco("model", "import", name, "-o", "head.safetensors", "--merging", "fixed"),
       f"import of {name}")
    voco("model", "export", "head.safetensors", "-o", "head-out.pt", "--part", "backbone")
    ok(same(strict(without_decoder(network()), load("head-out.pt")).state_dict(), backbone),
       f"{name}: the backbone comes back, strictly")
ok("(100.0 %" in voco("model", "import", "other.pt", "-o", "other.safetensors"),
   "import with other names")
voco("model", "export", "other.safetensors", "-o", "other-out.safetensors")
try:
    from safetensors.torch import load_file
    ok(same(load_file(f"{HERE}/other-out.safetensors"), whole), "and out as safetensors")
except ImportError:
    ok(True, "and out as safetensors # SKIP no safetensors module")
ok("are missing" in voco("model", "import", "less.pt", "-o", "less.safetensors", status=8),
   "a block too few is an error")
ok("missing (2): backbone.encoder10" in voco("model", "import", "less.pt", "-o",
                                             "less.safetensors", "--partial"), "unless --partial")
ok("expected at least" in voco("model", "import", "less.pt", "-o", "less.safetensors",
                               "--min-coverage", "99", status=8), "--min-coverage")

for name, inside in (("dino.pt", "student"), ("nnunet.pt", "network_weights")):
    ok(f"(100.0 % of the numbers), from inside {inside}"
       in voco("model", "import", name, "-o", "inside.safetensors"), f"import of {name}")
    voco("model", "export", "inside.safetensors", "-o", "inside.pt", "--part", "backbone")
    ok(same(load("inside.pt"), backbone), f"{name}: its tensors are those of {inside}")
said = voco("model", "import", "suprem.pt", "-o", "suprem.safetensors")
ok("Swin UNETR v1, encoder and decoder" in said and "unexpected (1): module.organ_embedding" in said
   and "legacy patch merging (assumed)" in said
   and "legacy is assumed" in said, "a first version without out")
voco("model", "export", "suprem.safetensors", "-o", "suprem-out.pt")
ok(same(load("suprem-out.pt"), {k: v for k, v in first.items() if not k.startswith("out")}),
   "its encoder and decoder come back")
said = voco("model", "import", "wide.pt", "-o", "wide.safetensors", status=8)
ok("is F32 [12,2,3,3,3], expected [12,1,3,3,3]" in said and "unexpected (1): more" in said,
   "another shape and a tensor too many are named")
ok("object.pt: its value is a call of monai.networks.nets.swin_unetr.SwinUNETR"
   in voco("model", "inspect", "object.pt", status=4), "a pickled network is refused by name")

voco("model", "export", "ddp.pt", "-o", "official.pt", "--names", "voco-official")
state = load("official.pt")["state_dict"]
ok(same(dict(state), dict(torch.load(f"{HERE}/ddp.pt")["state_dict"])), "names of VoCo's scripts")
voco("model", "export", "head.pt", "-o", "nvidia.pt", "--names", "nvidia-ssl")
other = network()
for p in other.swinViT.parameters():
    torch.nn.init.zeros_(p)
other.load_from(load("nvidia.pt"))
ok(all(torch.equal(v, whole[k]) for k, v in other.state_dict().items()
       if k.startswith("swinViT") and "layers1c" not in k and "layers2c" not in k
       and "layers3c" not in k and "layers4c" not in k), "MONAI's load_from takes nvidia-ssl")
for kind, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16), ("f32", torch.float32)):
    voco("model", "export", "head.pt", "-o", "type.pt", "--type", kind)
    ok(same(dict(load("type.pt")), {k: v.to(dtype) if v.is_floating_point() else v
                                    for k, v in backbone.items()}), f"{kind}, rounded as torch does")

# files that hold more than one network, or none that is plain
mean = {k: v / 2 if v.is_floating_point() else v for k, v in whole.items()}
torch.save({"model": whole, "model_ema": mean, "epoch": 3}, f"{HERE}/two.pt")
said = voco("model", "import", "two.pt", "-o", "x.safetensors", status=8)
ok("model (" in said and "model_ema (" in said, "two sets of weights are both named")
said = voco("model", "inspect", "two.pt")
ok("model_ema:" in said and "tensors  " not in said, "by inspect, too")
advice = re.search(r"in Python: (torch\.save\(.*\))", voco("info", "two.pt")).group(1)
exec(f"import os; os.chdir({HERE!r}); {advice}", {"torch": torch})
ok("(100.0 % of the numbers)" in voco("model", "import", "NEW.pt", "-o", "x.safetensors"),
   "and the advice can be followed")
torch.save({"state_dict": whole, "ema": mean}, f"{HERE}/two.pt")
ok("under ema (" in voco("model", "import", "two.pt", "-o", "x.safetensors", "-q"),
   "a second set beside the first is named")
torch.jit.save(torch.jit.script(torch.nn.Conv3d(1, 2, 3)), f"{HERE}/script.pt")
program = torch.export.export(torch.nn.Conv3d(1, 2, 3), (torch.zeros(1, 1, 4, 4, 4),))
torch.export.save(program, f"{HERE}/program.pt2")
for name in "script.pt", "program.pt2":
    advice = re.search(r"in Python: (torch\.save\(.*\))", voco("info", name, status=4)).group(1)
    exec(advice, {"torch": torch})
    ok("F32  [2,1,3,3,3] weight" in voco("model", "inspect", "NEW.pt"),
       f"{name}: refused with a way to its weights")

# networks that look like voco's until every tensor is looked at
for what, options, tensor in (
        ("six blocks in a stage", {"depths": (2, 2, 6, 2)}, "swinViT.layers3"),
        ("a norm behind the patches", {"patch_norm": True}, "swinViT.patch_embed.norm"),
        ("batch norms", {"norm_name": "batch"}, "encoder1.layer.norm1"),
        ("norms with scales", {"norm_name": ("instance", {"affine": True})},
         "encoder1.layer.norm1")):
    other = SwinUNETR(in_channels=1, out_channels=CLASSES, feature_size=FEATURE, use_v2=True,
                      **options)
    torch.save(other.state_dict(), f"{HERE}/other.pt")
    for verb in ("predict", "-p", "none", "-o", "x"), ("embed", "-o", "x.h5"):
        said = voco(verb[0], "-w", "other.pt", "--merging", "fixed", *verb[1:], "absent.nii",
                    status=8)
        ok("no place" in said, f"{verb[0]} refuses {what}")
    said = voco("model", "import", "other.pt", "--merging", "fixed", "-o", "other.safetensors")
    ok("will refuse" in said and tensor in voco("model", "inspect", "other.safetensors"),
       "import keeps them")

x = torch.rand(2, 1, 64, 64, 64)
want = embedding(net, x).numpy()
with h5py.File(f"{HERE}/crops.h5", "w") as f:
    f["img"] = x.numpy()
for weights, merging in (("head.safetensors", ()), ("comni.pt", ("--merging", "fixed"))):
    voco("embed", "-w", weights, "-o", "e.h5", *merging, "crops.h5")
    with h5py.File(f"{HERE}/e.h5") as f:
        got = numpy.concatenate([f[k]["embedding"][:] for k in f])
    error = abs(got - want).max() / abs(want).max()
    ok(error < 1e-4, f"embeddings with {weights} are MONAI's, error {error:.1e}")

# the Python in the manual page, as it is printed there
wide = SwinUNETR(in_channels=1, out_channels=1, feature_size=48, use_v2=True).state_dict()
torch.save({k: v for k, v in wide.items() if not k.startswith(("decoder", "out"))},
           f"{HERE}/run.pt")
voco("model", "export", "run.pt", "-o", "encoder.pt")
page = pathlib.Path(__file__).parent.parent / "man" / "voco-model.1"
lines = re.search(r"^import torch\n.*?(?=^\.Ed$)", page.read_text(), re.M | re.S).group()
os.chdir(HERE)
names = {}
exec(lines, names)
ok(len(names["maps"]) == 5 and torch.equal(names["net"].swinViT.patch_embed.proj.weight,
                                           wide["swinViT.patch_embed.proj.weight"]),
   "the lines of the manual page run")
print(f"1..{done}")
