"""The theme of the page, its style sheets and its script; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import gradio as gr

ASSETS = Path(__file__).resolve().parents[1] / "assets"
STYLES = sorted(ASSETS.glob("*.css"))
SCRIPTS = tuple(
    ASSETS / name
    for name in ("studio.js", "player.js", "words.js", "settings.js", "offline/register.js")
)
HEAD = (
    '<meta name="color-scheme" content="light dark">\n'
    '<link rel="icon" href="data:image/svg+xml,'
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='8' fill='%230f766e'/%3E"
    "%3Cpath d='M8 13v6M13 9v14M18 11v10M23 14v4' stroke='white' stroke-width='2.6' "
    "stroke-linecap='round'/%3E%3C/svg%3E\">\n"
    + "".join(f"<script>\n{script.read_text(encoding='utf-8')}\n</script>" for script in SCRIPTS)
)

LIGHT_BACKGROUND, LIGHT_SURFACE, LIGHT_INPUT = "#f5f6f4", "#ffffff", "#fbfbfa"
LIGHT_TEXT, LIGHT_MUTED_TEXT, LIGHT_BORDER = "#1d2326", "#566067", "#d9dcd8"
DARK_BACKGROUND, DARK_SURFACE, DARK_INPUT = "#121517", "#1a1e21", "#15191b"
DARK_TEXT, DARK_MUTED_TEXT, DARK_BORDER = "#e7eaeb", "#a5aeb4", "#343b40"
TEAL, DEEP_TEAL, BRIGHT_TEAL, PALE_TEAL = "#0f766e", "#0b5f59", "#2dd4bf", "#5eead4"

# property: (light, dark)
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "body_background_fill": (LIGHT_BACKGROUND, DARK_BACKGROUND),
        "body_text_color": (LIGHT_TEXT, DARK_TEXT),
        "body_text_color_subdued": (LIGHT_MUTED_TEXT, DARK_MUTED_TEXT),
        "background_fill_primary": (LIGHT_SURFACE, DARK_SURFACE),
        "background_fill_secondary": (LIGHT_BACKGROUND, DARK_BACKGROUND),
        "border_color_primary": (LIGHT_BORDER, DARK_BORDER),
        "border_color_accent": (TEAL, BRIGHT_TEAL),
        "color_accent_soft": ("#e3f1ef", "#12312e"),
        "link_text_color": (TEAL, PALE_TEAL),
        "link_text_color_hover": (DEEP_TEAL, BRIGHT_TEAL),
        "link_text_color_visited": (TEAL, PALE_TEAL),
        "block_background_fill": (LIGHT_SURFACE, DARK_SURFACE),
        "block_border_color": (LIGHT_BORDER, DARK_BORDER),
        "block_info_text_color": (LIGHT_MUTED_TEXT, DARK_MUTED_TEXT),
        "block_label_background_fill": (LIGHT_SURFACE, DARK_SURFACE),
        "block_label_border_color": (LIGHT_BORDER, DARK_BORDER),
        "block_label_text_color": (LIGHT_TEXT, DARK_TEXT),
        "block_title_text_color": (LIGHT_TEXT, DARK_TEXT),
        "panel_background_fill": (LIGHT_SURFACE, DARK_SURFACE),
        "input_background_fill": (LIGHT_INPUT, DARK_INPUT),
        "input_background_fill_focus": (LIGHT_SURFACE, DARK_INPUT),
        "input_border_color": ("#878f94", "#6d777d"),
        "input_border_color_focus": (TEAL, BRIGHT_TEAL),
        "input_placeholder_color": (LIGHT_MUTED_TEXT, DARK_MUTED_TEXT),
        "checkbox_background_color": (LIGHT_SURFACE, DARK_INPUT),
        "checkbox_background_color_selected": (TEAL, TEAL),
        "checkbox_border_color": ("#878f94", "#6d777d"),
        "checkbox_border_color_selected": (TEAL, BRIGHT_TEAL),
        "checkbox_label_background_fill": (LIGHT_INPUT, DARK_INPUT),
        "checkbox_label_background_fill_hover": (LIGHT_BACKGROUND, DARK_SURFACE),
        "checkbox_label_background_fill_selected": ("#e3f1ef", "#12312e"),
        "checkbox_label_border_color": (LIGHT_BORDER, DARK_BORDER),
        "checkbox_label_border_color_selected": (TEAL, BRIGHT_TEAL),
        "checkbox_label_text_color": (LIGHT_TEXT, DARK_TEXT),
        "checkbox_label_text_color_selected": (LIGHT_TEXT, DARK_TEXT),
        "slider_color": (TEAL, BRIGHT_TEAL),
        "loader_color": (TEAL, BRIGHT_TEAL),
        "button_primary_background_fill": (TEAL, TEAL),
        "button_primary_background_fill_hover": (DEEP_TEAL, DEEP_TEAL),
        "button_primary_border_color": (TEAL, TEAL),
        "button_primary_text_color": ("#ffffff", "#ffffff"),
        "button_secondary_background_fill": (LIGHT_SURFACE, "#242a2e"),
        "button_secondary_background_fill_hover": ("#eceeeb", "#2e353a"),
        "button_secondary_border_color": ("#b9bfbc", "#4a5359"),
        "button_secondary_text_color": (LIGHT_TEXT, DARK_TEXT),
        "table_border_color": (LIGHT_BORDER, DARK_BORDER),
        "table_even_background_fill": (LIGHT_SURFACE, DARK_SURFACE),
        "table_odd_background_fill": (LIGHT_INPUT, DARK_INPUT),
        "code_background_fill": ("#eceeeb", "#242a2e"),
    }
)
SHAPES: Mapping[str, str] = MappingProxyType(
    {
        "block_border_width": "1px",
        "block_shadow": "none",
        "block_title_text_weight": "600",
        "block_label_text_weight": "600",
        "block_radius": "10px",
        "block_padding": "12px 14px",
        "block_info_text_size": "13px",
        "input_border_width": "1px",
        "input_radius": "7px",
        "input_shadow": "none",
        "input_shadow_focus": "none",
        "button_border_width": "1px",
        "button_large_radius": "8px",
        "button_medium_radius": "8px",
        "button_small_radius": "7px",
        "button_large_text_weight": "600",
        "button_transform_hover": "none",
        "button_transform_active": "none",
        "button_primary_shadow": "none",
        "button_primary_shadow_hover": "none",
        "button_secondary_shadow": "none",
        "button_secondary_shadow_hover": "none",
        "checkbox_shadow": "none",
        "checkbox_label_shadow": "none",
        "checkbox_label_shadow_hover": "none",
        "layout_gap": "14px",
        "form_gap_width": "1px",
    }
)


class QuietTheme(gr.themes.Base):
    """Greys and one teal, light and dark, in system fonts."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=gr.themes.colors.teal,
            neutral_hue=gr.themes.colors.zinc,
            radius_size=gr.themes.sizes.radius_md,
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        )
        light = {name: pair[0] for name, pair in COLOURS.items()}
        dark = {f"{name}_dark": pair[1] for name, pair in COLOURS.items()}
        self.set(color_accent=TEAL, **light, **dark, **SHAPES)
