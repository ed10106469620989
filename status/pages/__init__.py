"""The pages: the words and order of a report, its values and drawings as HTML, and the rendering of templates."""
