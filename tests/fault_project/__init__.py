"""A project whose checks misbehave when a file says so; the servers under test serve it."""
