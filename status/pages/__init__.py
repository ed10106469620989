"""How a report becomes the three pages: what they show, their figures and drawings, and the writing of it."""
