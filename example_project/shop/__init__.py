"""The app of the example project: providers of its own, and switches that make them misbehave."""
