"""The independent, slow, readable answer: what the rules say of touchpoints. Imports nothing of ours."""
