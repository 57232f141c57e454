"""Contracts: what a record looks like on every topic. Imports nothing of ours."""
