"""The doctor: why storage does not do what the code needs, who must act and how; and the deploy gate, which asks it."""
