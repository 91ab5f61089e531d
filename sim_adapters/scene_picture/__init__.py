"""Bird's-eye pictures of a scene for people: frames of videos, and what `render` returns."""
