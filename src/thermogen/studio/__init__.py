"""The live page: watch generation from noise, and change all that decides it.

    thermogen studio [MODEL]

`simulation` holds the computer between two frames; `session` advances it for one visitor; `messages` checks
the messages of a page; `server` serves HTTP. The package needs the extra `studio`.
"""
