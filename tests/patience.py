"""How long tests wait for another process before they call it stuck: much longer than a busy machine needs."""

PATIENCE = 600  # seconds; below the half hour of a collective, which tests must tell apart
