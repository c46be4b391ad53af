"""Questions, their marking, and the slips behind wrong answers."""
