# Manual pages are mdoc sources, read by groff and mandoc as they are.
dist_man_MANS += \
	man/voco-completion.1 \
	man/voco-convert.1 \
	man/voco-doctor.1 \
	man/voco-embed.1 \
	man/voco-eval.1 \
	man/voco-finetune.1 \
	man/voco-info.1 \
	man/voco-leak.1 \
	man/voco-model.1 \
	man/voco-phantom.1 \
	man/voco-plan.1 \
	man/voco-plot.1 \
	man/voco-predict.1 \
	man/voco-pretrain.1 \
	man/voco-probe.1 \
	man/voco-store.5 \
	man/voco-tasks.1 \
	man/voco-tune.1 \
	man/voco-verify.1 \
	man/voco.1
