libvoco_la_SOURCES += \
	data/dicom.c \
	data/headtext.c \
	data/headtext.h \
	data/metaimage.c \
	data/nifti.c \
	data/nifti_write.c \
	data/nrrd.c \
	data/source.c \
	data/source.h \
	data/stream.c \
	data/stream.h \
	data/volume.c \
	data/volume.h
