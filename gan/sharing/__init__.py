"""What is passed on: shared models, exported files, reports, pages, and records of where images come from."""
