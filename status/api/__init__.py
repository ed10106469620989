"""The answers as JSON and in the formats that machines read."""
