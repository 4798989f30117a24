"""How the page looks: a quiet theme, one style sheet, one small script; nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import gradio as gr

ASSETS = Path(__file__).resolve().parent / "assets"
STYLES = sorted(ASSETS.glob("*.css"))
SCRIPT = ASSETS / "studio.js"
HEAD = (
    '<meta name="color-scheme" content="light dark">\n'
    '<link rel="icon" href="data:image/svg+xml,'
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='8' fill='%230f766e'/%3E"
    "%3Cpath d='M8 13v6M13 9v14M18 11v10M23 14v4' stroke='white' stroke-width='2.6' "
    "stroke-linecap='round'/%3E%3C/svg%3E\">\n"
    f"<script>\n{SCRIPT.read_text(encoding='utf-8')}\n</script>"
)

PAPER, SHEET, FIELD = "#f5f6f4", "#ffffff", "#fbfbfa"
INK, GREY, LINE = "#1d2326", "#566067", "#d9dcd8"
NIGHT, NIGHT_SHEET, NIGHT_FIELD = "#121517", "#1a1e21", "#15191b"
MOON, MIST, NIGHT_LINE = "#e7eaeb", "#a5aeb4", "#343b40"
TEAL, DEEP_TEAL, BRIGHT_TEAL, PALE_TEAL = "#0f766e", "#0b5f59", "#2dd4bf", "#5eead4"

# property: (light, dark)
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "body_background_fill": (PAPER, NIGHT),
        "body_text_color": (INK, MOON),
        "body_text_color_subdued": (GREY, MIST),
        "background_fill_primary": (SHEET, NIGHT_SHEET),
        "background_fill_secondary": (PAPER, NIGHT),
        "border_color_primary": (LINE, NIGHT_LINE),
        "border_color_accent": (TEAL, BRIGHT_TEAL),
        "color_accent_soft": ("#e3f1ef", "#12312e"),
        "link_text_color": (TEAL, PALE_TEAL),
        "link_text_color_hover": (DEEP_TEAL, BRIGHT_TEAL),
        "link_text_color_visited": (TEAL, PALE_TEAL),
        "block_background_fill": (SHEET, NIGHT_SHEET),
        "block_border_color": (LINE, NIGHT_LINE),
        "block_info_text_color": (GREY, MIST),
        "block_label_background_fill": (SHEET, NIGHT_SHEET),
        "block_label_border_color": (LINE, NIGHT_LINE),
        "block_label_text_color": (INK, MOON),
        "block_title_text_color": (INK, MOON),
        "panel_background_fill": (SHEET, NIGHT_SHEET),
        "input_background_fill": (FIELD, NIGHT_FIELD),
        "input_background_fill_focus": (SHEET, NIGHT_FIELD),
        "input_border_color": ("#878f94", "#6d777d"),
        "input_border_color_focus": (TEAL, BRIGHT_TEAL),
        "input_placeholder_color": (GREY, MIST),
        "checkbox_background_color": (SHEET, NIGHT_FIELD),
        "checkbox_background_color_selected": (TEAL, TEAL),
        "checkbox_border_color": ("#878f94", "#6d777d"),
        "checkbox_border_color_selected": (TEAL, BRIGHT_TEAL),
        "checkbox_label_background_fill": (FIELD, NIGHT_FIELD),
        "checkbox_label_background_fill_hover": (PAPER, NIGHT_SHEET),
        "checkbox_label_background_fill_selected": ("#e3f1ef", "#12312e"),
        "checkbox_label_border_color": (LINE, NIGHT_LINE),
        "checkbox_label_border_color_selected": (TEAL, BRIGHT_TEAL),
        "checkbox_label_text_color": (INK, MOON),
        "checkbox_label_text_color_selected": (INK, MOON),
        "slider_color": (TEAL, BRIGHT_TEAL),
        "loader_color": (TEAL, BRIGHT_TEAL),
        "button_primary_background_fill": (TEAL, TEAL),
        "button_primary_background_fill_hover": (DEEP_TEAL, DEEP_TEAL),
        "button_primary_border_color": (TEAL, TEAL),
        "button_primary_text_color": ("#ffffff", "#ffffff"),
        "button_secondary_background_fill": (SHEET, "#242a2e"),
        "button_secondary_background_fill_hover": ("#eceeeb", "#2e353a"),
        "button_secondary_border_color": ("#b9bfbc", "#4a5359"),
        "button_secondary_text_color": (INK, MOON),
        "table_border_color": (LINE, NIGHT_LINE),
        "table_even_background_fill": (SHEET, NIGHT_SHEET),
        "table_odd_background_fill": (FIELD, NIGHT_FIELD),
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
    """Calm greys and one deep teal, light and dark, in the fonts of the reader's own system."""

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
