"""Statistics, comparison and the report: what runs showed."""
