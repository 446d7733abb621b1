"""The tests of images, and the scripts that run in their containers."""
