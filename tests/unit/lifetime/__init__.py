"""Models of customer lifetime value, against what their papers print."""
