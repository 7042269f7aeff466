"""mmengine's checkpoints: read without running code, checked, written whole."""
