"""What a trained classifier is good for: predictions on own pictures, and an export without mm*."""
