"""Route sets of this project, made by sim_adapters.embedded.routes."""
