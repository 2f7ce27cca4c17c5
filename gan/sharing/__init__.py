"""Share models: the folder of a shared model, the Hugging Face Hub, and other formats."""
