"""The application behind page, command line and API: voices, synthesis, history, training.

May import: All packages below studio; never gradio, fastapi, cli, api, webui.
"""
