libvoco_la_SOURCES +=
