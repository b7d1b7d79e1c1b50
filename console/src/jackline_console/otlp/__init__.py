"""What agents report that nothing of ours stands before: OTLP/HTTP in, events out."""
