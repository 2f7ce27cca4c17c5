"""Tests in the structure of gan/. This is a package because torch-fidelity installs another package named tests."""
