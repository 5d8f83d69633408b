"""Who is there: silence is judged by the plan, and taken back when its author speaks."""
