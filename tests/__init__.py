"""What makes Throughline trustworthy."""
