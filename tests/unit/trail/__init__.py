"""Why an identifier belongs to whom, from rows alone."""
