"""The viewer: one page that shows every recorded drive of a benchmark, in any browser, offline."""
