"""Speed figures, each beside its rival's best setting or its limit, measured in turns."""
