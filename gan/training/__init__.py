"""Training: the step (module.py), what it consists of (base.py), and how a run is started and ended (fit.py)."""

EXPECTED_WARNINGS = (  # regular expressions of messages that every run would print and that need no action
    ".*does not have many workers.*",  # batches are loaded from memory
    ".*in eval mode at the start of training.*",  # the EMA generator
    ".*no pre-optimization state.*",  # Lightning #20947
    ".*`srun` command is available.*",  # on a cluster, a run without srun is fine
    ".*all_gather is deprecated.*",  # Lightning calls it
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning 2.6 with torch 2.13
)
