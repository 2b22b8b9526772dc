# Manual pages are mdoc sources.
