"""Configuration shared by all tests."""
