"""The page: Gradio, and nothing that decides about speech."""
