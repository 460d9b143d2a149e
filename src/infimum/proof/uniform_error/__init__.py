"""The largest error of an approximation: enclosed where all is a formula, else the largest of samples."""
