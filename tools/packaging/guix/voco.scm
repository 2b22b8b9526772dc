;; guix build -f tools/packaging/guix/voco.scm, in a checkout of the repository.
(use-modules (guix packages) (guix gexp) (guix git-download) (guix build-system gnu)
             ((guix licenses) #:prefix license:)
             (gnu packages autotools) (gnu packages check) (gnu packages compression)
             (gnu packages image) (gnu packages maths) (gnu packages oneapi)
             (gnu packages pkg-config) (gnu packages web))

(package
  (name "voco")
  (version "0.1")
  (source (local-file "../../.." "voco-checkout" #:recursive? #t
                      #:select? (git-predicate (canonicalize-path "../../.."))))
  (build-system gnu-build-system)
  (arguments
   ;; The program opens the BLAS itself, in a folder that it remembers.
   (list #:configure-flags
         #~(list (string-append "--with-openblas=" #$(this-package-input "openblas")))
         #:phases
         #~(modify-phases %standard-phases
             (replace 'bootstrap
               (lambda _ (invoke "sh" "./bootstrap"))))))
  (native-inputs (list autoconf automake libtool pkg-config check))
  (inputs (list onednn openblas hdf5 zlib libdeflate libpng jansson libzip))
  (home-page "URL-OF-THIS-REPOSITORY")
  (synopsis "Self-supervised pre-training on 3-D medical images, on CPUs")
  (description "voco turns folders of CT and MR volumes into a store and pre-trains the
encoder of a Swin UNETR on it with the VoCo method.")
  (license license:asl2.0))
