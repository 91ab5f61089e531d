"""The scenario cache: logged scenarios as compact arrays on disk."""
