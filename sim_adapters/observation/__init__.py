"""What the policy sees, drawn from the scene."""
