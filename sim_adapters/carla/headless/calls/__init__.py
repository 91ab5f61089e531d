"""The server's answers to the client library's calls."""
