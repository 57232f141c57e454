"""The importer, example by example; `tests/properties/test_importer.py` has its laws."""
