"""What customers will be worth: two models, the search that fits them, and the job that writes the answer.

Must not know topics, workers or the rules of the pipeline: it reads a view and writes a table.
"""
