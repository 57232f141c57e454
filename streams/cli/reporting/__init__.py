"""A report shown: put into words once, then printed on a terminal or written as a page."""
