"""The runtime piece by piece, without a broker."""
