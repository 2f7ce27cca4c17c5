"""Models and results to pass on: shared models, the Hugging Face Hub, reports, and where images come from."""
