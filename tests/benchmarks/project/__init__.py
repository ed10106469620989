"""A small project in which the app, its peers and views written by hand do the same work."""
