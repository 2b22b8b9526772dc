# Recipes of published tasks, which voco tasks lists.
tasksdir = $(datadir)/voco/tasks
dist_tasks_DATA = \
	share/voco/tasks/abdomenatlas.json \
	share/voco/tasks/abdomenct-1k.json \
	share/voco/tasks/acdc.json \
	share/voco/tasks/aiib23.json \
	share/voco/tasks/amos-ct.json \
	share/voco/tasks/amos-mr.json \
	share/voco/tasks/asoca.json \
	share/voco/tasks/atlas-mr.json \
	share/voco/tasks/avt.json \
	share/voco/tasks/bhsd.json \
	share/voco/tasks/brats21.json \
	share/voco/tasks/btcv.json \
	share/voco/tasks/chaos.json \
	share/voco/tasks/covid19-20.json \
	share/voco/tasks/flare22.json \
	share/voco/tasks/fumpe.json \
	share/voco/tasks/ircadb.json \
	share/voco/tasks/kipa22.json \
	share/voco/tasks/kits.json \
	share/voco/tasks/lndb.json \
	share/voco/tasks/mmwhs-ct.json \
	share/voco/tasks/mmwhs-mr.json \
	share/voco/tasks/msd01-brain.json \
	share/voco/tasks/msd02-heart.json \
	share/voco/tasks/msd03-liver.json \
	share/voco/tasks/msd04-hippocampus.json \
	share/voco/tasks/msd05-prostate.json \
	share/voco/tasks/msd06-lung.json \
	share/voco/tasks/msd07-pancreas.json \
	share/voco/tasks/msd08-vessel.json \
	share/voco/tasks/msd09-spleen.json \
	share/voco/tasks/msd10-colon.json \
	share/voco/tasks/panorama.json \
	share/voco/tasks/parse22.json \
	share/voco/tasks/pengwin.json \
	share/voco/tasks/segthor.json \
	share/voco/tasks/sliver07.json \
	share/voco/tasks/structseg19.json \
	share/voco/tasks/tcia-pancreas.json \
	share/voco/tasks/totalsegmentator.json \
	share/voco/tasks/vocomni.json \
	share/voco/tasks/word.json

# Where the program looks, first of all: beside itself.
all-local: share-link
share-link:
	@test -e share/voco/tasks || { $(MKDIR_P) share/voco && \
	    $(LN_S) $(abs_top_srcdir)/share/voco/tasks share/voco/tasks; }
distclean-local:
	if test -L share/voco/tasks; then rm share/voco/tasks; fi
.PHONY: share-link
