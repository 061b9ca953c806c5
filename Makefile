.PHONY: setup run test lint bench
BIN := .venv/bin

setup:           ## system packages and the virtual environment; a second call does no work
	@.ci/setup

run: setup       ## train over the simulated air, beside an error-free arm
	$(BIN)/airmeta run experiments/quickstart.toml

lint: setup      ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint       ## lint, types, tests, coverage
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=90

bench: setup     ## speed, as ratios against named rivals
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -s
