"""Studies, one a module: data only. `experiments.study` runs them."""
