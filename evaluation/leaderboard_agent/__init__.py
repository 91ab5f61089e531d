"""What the leaderboard's agent is made of, without the client library or the leaderboard."""
