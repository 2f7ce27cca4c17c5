"""One file a sub-command of `gan`: add_arguments(parser) and run(arguments)."""
