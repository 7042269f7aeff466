"""Ask an LMM to describe images, and keep what it answers.

plan ──► choice of images ──► describers (an LMM) ──► state ──► descriptions.jsonl
"""
