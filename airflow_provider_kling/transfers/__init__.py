"""Kling renders to other places."""
