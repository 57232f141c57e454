"""The parts of the line as processes on one machine: started, watched, drained, stopped in order."""
