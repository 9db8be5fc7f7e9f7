"""The other side: local servers that speak each platform's API, for the demo, the tests and the load."""
