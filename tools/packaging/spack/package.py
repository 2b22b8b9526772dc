# Put this folder's parent into a Spack repository as packages/voco/package.py.
from spack.package import *


class Voco(AutotoolsPackage):
    """Self-supervised pre-training on 3-D medical images with the VoCo method, on CPUs."""

    homepage = "URL-OF-THIS-REPOSITORY"
    git = "URL-OF-THIS-REPOSITORY"

    license("Apache-2.0")

    version("main", branch="main")

    depends_on("c", type="build")
    depends_on("autoconf", type="build")
    depends_on("automake", type="build")
    depends_on("libtool", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("check", type=("build", "test"))
    depends_on("onednn@2.6:3 cpu_runtime=omp")
    depends_on("openblas threads=none")
    depends_on("hdf5@1.10.5: ~mpi")
    depends_on("zlib-api")
    depends_on("libdeflate")
    depends_on("libpng")
    depends_on("jansson")
    depends_on("libzip")

    def autoreconf(self, spec, prefix):
        Executable("./bootstrap")()

    def configure_args(self):
        return [
            "--with-dnnl=" + self.spec["onednn"].prefix,
            "--with-openblas=" + self.spec["openblas"].prefix,
            "--with-hdf5=" + self.spec["hdf5"].prefix,
        ]
