"""nnU-Net's PlainConvUNet to voco and back; run by tests/cli_torch_plainconv.sh.

Usage: torch_plainconv.py VOCO FOLDER

A checkpoint as nnU-Net's trainer writes it, of random weights, is inspected, imported,
exported, and predicts a volume whose probabilities PyTorch computes, too.
"""
import gzip
import json
import struct
import subprocess
import sys

import numpy
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet

VOCO, HERE = sys.argv[1:]
CLASSES = 4
PATCH = [12, 32, 48]            # z, y, x
SIZE = (45, 30, 11)             # x, y, z: one window, padded
SPACING = (1.5, 0.8, 3.0)
FINGERPRINT = {"mean": 90.0, "std": 60.0, "percentile_00_5": -50.0, "percentile_99_5": 220.0,
               "min": -900.0, "max": 1500.0, "median": 85.0}
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


def network(**other):
    torch.manual_seed(3)
    args = dict(input_channels=1, n_stages=4, features_per_stage=[8, 16, 24, 32],
                conv_op=torch.nn.Conv3d, kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
                strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]], n_conv_per_stage=2,
                num_classes=CLASSES, n_conv_per_stage_decoder=2, conv_bias=True,
                norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
                nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=False)
    net = PlainConvUNet(**{**args, **other})
    for name, p in net.named_parameters():      # norms are 1 and 0 when they are made
        if ".norm." in name:
            torch.nn.init.normal_(p, 1.0 if name.endswith("weight") else 0.0, 0.3)
    return net.eval()


def checkpoint(net, name, scheme="CTNormalization", **statistics):
    plans = {"plans_name": "nnUNetPlans", "transpose_forward": [0, 1, 2],
             "foreground_intensity_properties_per_channel": {"0": {**FINGERPRINT, **statistics}},
             "configurations": {
                 "3d_fullres": {"patch_size": PATCH, "spacing": SPACING[::-1],
                                "normalization_schemes": [scheme], "use_mask_for_norm": [False]},
                 "3d_cascade": {"inherits_from": "3d_fullres"}}}
    labels = {"background": 0, "liver": 1, "spleen": 2, "left kidney": 3}
    torch.save({"network_weights": net.state_dict(), "optimizer_state": {"state": {}},
                "grad_scaler_state": None, "logging": {"mean_fg_dice": [0.5]}, "_best_ema": 0.5,
                "current_epoch": 7, "trainer_name": "nnUNetTrainer",
                "inference_allowed_mirroring_axes": (0, 1, 2),
                "init_args": {"plans": plans, "configuration": "3d_cascade", "fold": 0,
                              "dataset_json": {"labels": labels}, "device": torch.device("cpu")}},
               f"{HERE}/{name}")


def write_nifti(name, x):
    """x [x,y,z] of int16, axes flipped against RAS, as many scanners have them."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *x.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<8f", head, 76, 1, *SPACING, 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    struct.pack_into("<2h", head, 252, 0, 1)
    for i, sign in enumerate((-1, -1, 1)):
        row = [0.0] * 4
        row[i] = sign * SPACING[i]
        struct.pack_into("<4f", head, 280 + 16 * i, *row)
    head[344:348] = b"n+1\0"
    with gzip.open(f"{HERE}/{name}", "wb") as f:
        f.write(bytes(head) + x.astype("<i2").tobytes(order="F"))


def read_nifti(name, dtype, classes=()):
    with gzip.open(f"{HERE}/{name}") as f:
        return numpy.frombuffer(f.read()[352:], dtype).reshape(SIZE + classes, order="F")


def logits_of(net, x):
    """Logits [classes,x,y,z] of normalised x [x,y,z]: one window, zeros around."""
    zyx = torch.from_numpy(numpy.ascontiguousarray(x.transpose(2, 1, 0), dtype=numpy.float32))
    before = [(p - s) // 2 for p, s in zip(PATCH, zyx.shape)]
    window = torch.zeros(1, 1, *PATCH)
    inside = tuple(slice(b, b + s) for b, s in zip(before, zyx.shape))
    window[(0, 0) + inside] = zyx
    with torch.no_grad():
        y = net(window)[0][(slice(None),) + inside]
    return y.permute(0, 3, 2, 1).double().numpy()


def log_softmax(y, axis):
    y = y - y.max(axis, keepdims=True)
    return y - numpy.log(numpy.exp(y).sum(axis, keepdims=True))


net = network()
checkpoint(net, "nnunet.pth")
numbers = sum(p.numel() for p in net.parameters())
said = json.loads(voco("model", "inspect", "--json", "nnunet.pth"))
ok(said["network"] == "plainconvunet" and said["parameters"] == numbers
   and said["strides"] == [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]], "inspect")
said = voco("model", "import", "nnunet.pth", "-o", "w.safetensors")
ok("(100.0 %" in said and "copies" in said and "48 x 32 x 12" in said, "import")
for names, read in (("monai", lambda w: w), ("nnunet", lambda w: w["network_weights"])):
    voco("model", "export", "w.safetensors", "-o", "out.pt", "--names", names)
    state = read(torch.load(f"{HERE}/out.pt", weights_only=True))
    other = network(norm_op_kwargs={"eps": 1e-5, "affine": True})
    other.load_state_dict(state, strict=True)
    ok(all(torch.equal(v, state[k]) for k, v in net.state_dict().items()),
       f"export --names {names} comes back bit by bit, load_state_dict is strict")

x = numpy.random.default_rng(5).normal(90, 80, SIZE).round()
x += 60 * numpy.sin(numpy.arange(SIZE[0]) / 6)[:, None, None].round()
x[x == 0] = 1
write_nifti("case.nii.gz", x)
low, high = FINGERPRINT["percentile_00_5"], FINGERPRINT["percentile_99_5"]
for scheme, weights, normal in (
        ("CTNormalization", "w.safetensors",
         (x.clip(low, high) - FINGERPRINT["mean"]) / FINGERPRINT["std"]),
        ("ZScoreNormalization", "z.pth", (x - x.mean()) / x.std())):
    checkpoint(net, "z.pth", scheme)
    want = logits_of(net, normal)
    said = voco("predict", "-w", weights, "--probabilities", "-o", scheme, "case.nii.gz")
    p = read_nifti(f"{scheme}/case_prob.nii.gz", "<f4", (CLASSES,)).astype(float)
    error = abs(numpy.log(p) - numpy.moveaxis(log_softmax(want, 0), 0, -1)).max()
    ok(error < 1e-3, f"{scheme}: logits are PyTorch's, largest difference {error:.1e}")
    same = (read_nifti(f"{scheme}/case.nii.gz", "u1") == want.argmax(0)).mean()
    ok(same > 0.9999, f"{scheme}: so are labels, {100 * same:.3f} % of the voxels")

voco("phantom", "-n", "2", "--size", "48,48,24", "--spacing", "8,8,12", "-o", "ct", "--labels",
     "truth")
voco("convert", "--preset", "abdomen", "--spacing", "8,8,12", "--pad", "48,32,12", "--pad-first",
     "none", "-o", "store", "--labels", "0-11", "--label-folder", "truth", "ct")
said = voco("finetune", "seg", "-s", "store", "-w", "w.safetensors", "--roi", "48,32,12",
            "--samples", "2", "--folds", "1", "--epochs", "4", "--warmup-epochs", "1", "--lr",
            "1e-2", "-o", "run")
ok("other shape or type (6)" in said and "PlainConvUNet" in said,
   "fine-tuning from these weights, for other classes")
loss = [json.loads(line)["loss"] for line in open(f"{HERE}/run/metrics.jsonl") if "loss" in line]
ok(loss[-1] < loss[0], f"the loss falls, from {loss[0]:.3f} to {loss[-1]:.3f}")
ok("windows of 48 x 32 x 12" in voco("predict", "-w", "run/model.safetensors", "-n", "-o", "again",
                                     "ct/phantom-00000.nii.gz"), "and the run's weights predict")

checkpoint(net, "broken.pth", std=120748.0)
ok("cannot be true" in voco("model", "import", "broken.pth", "-o", "b.safetensors"),
   "a broken fingerprint is warned of")
checkpoint(network(norm_op=torch.nn.BatchNorm3d, norm_op_kwargs={}), "batch.pth")
ok("batch norms" in voco("model", "import", "batch.pth", "-o", "b.safetensors", status=8),
   "batch norms are refused")
checkpoint(network(nonlin_first=True), "first.pth")
ok("another place" in voco("model", "import", "first.pth", "-o", "b.safetensors", status=8),
   "norms behind activations are refused")
state = net.state_dict()
key = "decoder.encoder.stages.0.0.convs.0.conv.weight"
state[key] = state[key] + 1
torch.save(state, f"{HERE}/differ.pt")
ok("other numbers" in voco("model", "inspect", "differ.pt", status=4),
   "copies that differ are refused")
ok("no" in voco("model", "export", "w.safetensors", "-o", "n.pt", "--names", "nvidia-ssl", status=2),
   "names that the network has not got are refused")
print(f"1..{done}")
