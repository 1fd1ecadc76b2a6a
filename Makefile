# make test-colab: with Colab's versions of everything (tests/colab.txt)
# make test BROWSER=none leaves the browser's tests out
PYTHON ?= python3
SCALE  ?= demo
REPO   ?=
NAME   ?=
BROWSER ?= find
BIN    := .venv/bin
STAMP  := .venv/.installed
# Jupyter refuses root unless told; a container has no browser, and its own localhost is not the reader's.
AS_ROOT       = $(if $(filter 0,$(shell id -u)),--allow-root)
IN_CONTAINER  = $(if $(wildcard /.dockerenv /run/.containerenv),--ip=0.0.0.0 --no-browser)

.DEFAULT_GOAL := help
.PHONY: help book test test-colab lab notebooks results study bench lock kernel publish-as clean

help:  ## say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, $(PYTHON) is {v[0]}.{v[1]}: try make PYTHON=python3.12")'
	@echo "Installing the pinned dependencies into .venv (once; PyTorch is large: a minute or more, 6 GB) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: $(STAMP)  ## build the book from the stored outputs and print its path
	@echo "Building the book …"
	@$(BIN)/jupyter-book build . -W --keep-going -n --quiet
	@$(BIN)/dcgan export lab faces --also mnist --out _build/html/lab --first 63 --title "Generators in your browser" > /dev/null
	@echo "The book is at file://$(CURDIR)/_build/html/index.html"

test: $(STAMP)  ## ruff, every unit test, every notebook at scale 'fast', the book, and tests of the built pages
	@echo "Checking style …"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory book
	@echo "Running the tests and the notebooks at scale 'fast' …"
	@DCGAN_SCALE=fast OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile \
		--nbval-lax tests notebooks $(if $(filter none,$(BROWSER)),-m "not browser")

.venv-colab/.installed: tests/colab.txt pyproject.toml
	@echo "Installing Colab's versions into .venv-colab (6 GB) …"
	@test -x .venv-colab/bin/python || $(PYTHON) -m venv .venv-colab
	@.venv-colab/bin/python -m pip install --quiet --disable-pip-version-check uv
	@.venv-colab/bin/uv pip install --quiet --python .venv-colab/bin/python -c tests/colab.txt -e ".[test]"
	@touch $@

test-colab: .venv-colab/.installed  ## the library's tests and every notebook at scale 'fast', with the versions that Colab has
	@DCGAN_SCALE=fast .venv-colab/bin/python -m pytest --nbval-lax tests notebooks -m "not browser" \
		$(addprefix --ignore=tests/,test_book.py test_project.py test_readme.py)

lab: $(STAMP)  ## open JupyterLab on the notebooks
	@echo "Opening JupyterLab (stop it with Ctrl-C) …"
	@$(BIN)/jupyter lab notebooks $(AS_ROOT) $(IN_CONTAINER)

notebooks: $(STAMP)  ## execute the notebooks in place, outputs stored: SCALE=fast, demo (default) or paper
	@echo "Executing the notebooks at scale '$(SCALE)' …"
	@DCGAN_SCALE=$(SCALE) TQDM_DISABLE=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN \
		--ExecutePreprocessor.timeout=-1 --ExecutePreprocessor.store_widget_state=False \
		--ExecutePreprocessor.record_timing=False notebooks/*.ipynb

results: $(STAMP)  ## run every study and analysis (hours on a CPU; they go on where they stopped): SCALE=fast for seconds each
	@DCGAN_SCALE=$(SCALE) $(BIN)/python -m experiments all

study: $(STAMP)  ## run one study or analysis: NAME=… (without a name: list them)
	@DCGAN_SCALE=$(SCALE) $(BIN)/python -m experiments $(NAME)

bench: $(STAMP)  ## measure the speed of this machine beside the tutorials' loop (half an hour on two CPU cores)
	@for part in speed.py "speed.py --avx2" waiting.py scaling.py svm.py; do echo "benchmarks/$$part"; $(BIN)/python benchmarks/$$part || exit 1; done

lock: $(STAMP)  ## resolve the newest versions within pyproject.toml's ranges into requirements.lock
	@echo "Resolving requirements.lock …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "# What the book was built with; made by \`make lock\` from pyproject.toml. PyPI names and versions only." > requirements.lock.new
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml >> requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@echo "Now run make test, which installs them."

kernel: dcgan_lib/lab/kernel.wasm  ## compile the lab's kernel anew (clang and lld, only when kernel.c changes)

dcgan_lib/lab/kernel.wasm: dcgan_lib/lab/kernel.c
	clang --target=wasm32 -O3 -msimd128 -nostdlib -Wl,--no-entry -Wl,--import-memory -Wl,--export=dense -Wl,--export=up -o $@ $<

publish-as:  ## say where the book is published: REPO=owner/name
	@$(PYTHON) book/publish_as.py "$(REPO)"

clean:  ## remove the built book (not .venv, not runs)
	rm -rf _build
