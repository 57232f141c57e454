"""The contracts, example by example; `tests/properties/test_codec.py` has the laws of the bytes."""
