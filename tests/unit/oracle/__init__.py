"""Hand-computed examples of every rule of the oracle; they are the law for the pipeline too."""
