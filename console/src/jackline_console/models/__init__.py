"""What the routes take and answer, one module for each page."""
