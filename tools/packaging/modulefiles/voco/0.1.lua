-- Lmod.  The folder that make install was given as --prefix:
local prefix = os.getenv("VOCO_PREFIX") or "/opt/voco/0.1"

help([[voco pre-trains the encoder of a Swin UNETR on 3-D medical images, on CPUs.
"man voco" is the way in.]])
whatis("Name: voco")
whatis("Version: 0.1")
whatis("Description: self-supervised pre-training on 3-D medical images, on CPUs")

conflict("voco")
prepend_path("PATH", pathJoin(prefix, "bin"))
prepend_path("MANPATH", pathJoin(prefix, "share/man"))
append_path("MANPATH", "")      -- the pages of the system, too
