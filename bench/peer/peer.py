"""What the steps of this folder share: options of the machine, the allocator, a clock, the
line of JSON.  Nothing here imports torch at the top: restart() has to come first."""
import json
import os
import platform
import resource
import statistics
import sys
import time

KEEP_MEMORY = "glibc.malloc.mmap_threshold=17179869184:glibc.malloc.trim_threshold=34359738368"


def add_options(p, lr):
    p.add_argument("--feature-size", type=int, default=48, help="48 is the Base model")
    p.add_argument("--steps", type=int, default=3, help="steps that are timed")
    p.add_argument("--warm-up", type=int, default=1, help="steps before them")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--dtype", choices=("f32", "bf16"), default="f32",
                   help="bf16: autocast, parameters and losses stay f32")
    p.add_argument("--channels-last", action="store_true", help="channels_last_3d")
    p.add_argument("--checkpointing", action="store_true",
                   help="MONAI's gradient checkpointing inside the network")
    p.add_argument("--flash", action="store_true",
                   help="MONAI's use_flash_attention (torch's fused attention)")
    p.add_argument("--compile", action="store_true", help="torch.compile the network")
    p.add_argument("--group", type=int, default=1, help="crops in one pass of the network")
    p.add_argument("--allocator", choices=("keep", "default"), default="keep",
                   help="keep: glibc does not give memory back between operations")
    p.add_argument("--lr", type=float, default=lr)


def restart(args):
    """Run the script again under variables that are read when a process starts."""
    environment = {"OMP_NUM_THREADS": str(args.threads)}
    if args.allocator == "keep":
        environment["GLIBC_TUNABLES"] = KEEP_MEMORY
    if all(os.environ.get(k) == v for k, v in environment.items()):
        return
    os.environ.update(environment)
    os.execv(sys.executable, [sys.executable] + sys.argv)


def network_options(args):
    """What MONAI's SwinUNETR takes of the options."""
    options = {"use_v2": True, "use_checkpoint": args.checkpointing}
    if args.flash:
        options["use_flash_attention"] = True
    return options


def autocast(args):
    import torch
    return torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16")


class Clock:
    """Seconds by name; `with clock("forward"): ...`"""

    def __init__(self):
        self.seconds = {}

    def __call__(self, name):
        self.name = name
        return self

    def __enter__(self):
        self.start = time.perf_counter()

    def __exit__(self, *_):
        spent = time.perf_counter() - self.start
        self.seconds[self.name] = self.seconds.get(self.name, 0) + spent


def median(clocks, *names):
    """Of the seconds that steps spent under these names together."""
    return statistics.median(sum(s.get(n, 0) for n in names) for s in clocks)


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def report(args, seconds_each, **more):
    """The line: options, median and each of the seconds, what else there is, the machine."""
    import monai
    import torch
    options = ("feature_size", "dtype", "channels_last", "checkpointing", "flash", "compile",
               "group", "threads", "allocator")
    print(json.dumps({
        **{name: getattr(args, name) for name in options},
        "seconds": statistics.median(seconds_each),
        "seconds_each": [round(s, 4) for s in seconds_each], **more,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "torch": torch.__version__, "monai": monai.__version__,
        "python": platform.python_version(), "cpu": cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }))
