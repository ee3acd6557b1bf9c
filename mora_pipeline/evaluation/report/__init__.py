"""The benchmark for people: Markdown tables, and one self-contained page with tables and pictures."""
