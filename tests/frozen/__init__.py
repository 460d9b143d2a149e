"""What users rely on, as it was last agreed: public names, parameters, options, the JSON of results.

``python -m tests.frozen`` writes it again. A line that is added is a decision; a line that goes away was deprecated
before, as the page "What is public" says.
"""
