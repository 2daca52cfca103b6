"""The live page: watch units fluctuate and noise become a digit, and take hold of everything that decides it.

    thermogen studio [MODEL]

`simulation` is the computer between two frames and runs without any page; `session` moves it on for one
visitor; `messages` checks what a page says; `server` is the web. Needs the extra `studio`.
"""
