"""The gallery of voices: find, hear, use, tag, add, rename, delete and export them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from core.formatting import format_count
from core.paths import ProjectPaths
from studio.archives.voice_zip import export_voice, import_voice_zip
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import (
    AUDIO_SUFFIXES,
    Voice,
    get_voices_fingerprint,
    list_tags,
    list_voices,
    search_voices,
)
from studio.voices.effects import format_chain, read_voice_effects, to_chain
from studio.voices.tags import write_tags
from studio.voices.trash import (
    delete_voice,
    find_voice_folder,
    list_deleted_voices,
    rename_voice,
    restore_voice,
)
from studio.voices.uploads import TRANSCRIPT_SUFFIXES
from webui.components.file_links import get_file_url
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
)
from webui.components.messages import note_html, show_errors
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.components.voice_import import import_recordings

# Any: values of Gradio's components.

ORIGIN = "utilities"
POLL_INTERVAL_S = 2.0
HUES = 12  # of the colours of voices


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCard:
    """A voice in the gallery.  hue: of its colour, in degrees;  url: of its first clip;
    effects: those of all its clips as text, "" for none.
    """

    name: str
    initial: str
    hue: int
    clips: int
    url: str
    has_consent: bool
    tags: tuple[str, ...]
    effects: str


class GalleryState(NamedTuple):
    """What the gallery shows.  deleted: (id, name) of voices in the trash."""

    fingerprint: str
    deleted: tuple[tuple[str, str], ...]
    search: str


class VoiceGallery:
    """The gallery, and the field that recordings are dropped on."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        self.search = gr.Textbox(
            label="Find a voice",
            placeholder="Name or tag",
            max_lines=1,
            elem_id="utilities-voices-search",
        )
        gallery = create_live_html("utilities-voices")
        self.message = gr.HTML("", elem_id="utilities-voices-message")
        with gr.Row():
            self.files = gr.File(
                label="Recordings of one voice, or a .voice.zip",
                file_count="multiple",
                file_types=[*AUDIO_SUFFIXES, *TRANSCRIPT_SUFFIXES, ".zip"],
                height=120,
                elem_id="utilities-voices-files",
            )
            with gr.Column(min_width=200):
                self.name = gr.Textbox(
                    label="Name",
                    info="Leave blank to use the name of the file.",
                    max_lines=1,
                    elem_id="utilities-voices-name",
                )
                self.add = gr.Button("Add voice", elem_id="utilities-voices-add")
        self.panel = LivePanel(
            gallery,
            self._get_state,
            lambda state: gallery_html(self.studio.layout, state.deleted, state.search),
            {
                "use": self._use,
                "filter": self._filter,
                "tag": self._tag,
                "rename": self._rename,
                "delete": self._delete,
                "restore": self._restore,
                "export": self._export,
            },
            message=self.message,
            inputs=[self.search],
            action_outputs=[*page.form.components, page.tabs],
        )

    def bind(self) -> None:
        """Connect the events to their handlers."""
        self.panel.follow(self.page.changes, POLL_INTERVAL_S)
        self.panel.bind(self.search.input, lambda: None, trigger_mode="always_last")
        self.add.click(
            show_errors(self.message, self._add),
            [self.files, self.name],
            [self.message, self.files, self.name],
            **EVENT_OPTIONS,
        )

    def _get_state(self, search: str | None) -> GalleryState:
        return GalleryState(
            fingerprint=get_voices_fingerprint(self.studio.layout),
            deleted=self._list_deleted(),
            search=(search or "").strip(),
        )

    def _list_deleted(self) -> tuple[tuple[str, str], ...]:
        return tuple((one.id, one.name) for one in list_deleted_voices(self.studio.layout)[:5])

    def _add(self, files: Sequence[str] | None, name: str | None) -> dict[Any, Any]:
        paths = [Path(file) for file in files or ()]
        if len(paths) == 1 and paths[0].suffix.lower() == ".zip":
            voice = import_voice_zip(self.studio.layout, paths[0], name or "").name
            text = f"{voice} is imported."
        else:
            job = import_recordings(self.studio, paths, name or "", ORIGIN)
            text = f"Importing {job.request['name']}."
        return {self.message: note_html(text), self.files: None, self.name: ""}

    def _filter(self, action: PanelAction, search: str | None = None) -> Updates:
        tag = action.text("value")
        return {self.search: "" if tag == (search or "").strip() else tag}

    def _tag(self, action: PanelAction, search: str | None = None) -> Updates:
        folder = find_voice_folder(self.studio.layout, action.text("value"))
        tags = write_tags(folder, [action.text("tags")])
        return {self.message: note_html(f"Tags of {folder.name}: {', '.join(tags) or 'none'}.")}

    def _use(self, action: PanelAction, search: str | None = None) -> Updates:
        voice = self.page.form.controls["voice"]
        return {voice: action.text("value"), self.page.tabs: gr.Tabs(selected="generate")}

    def _rename(self, action: PanelAction, search: str | None = None) -> Updates:
        new = action.text("name").strip()
        if not new:
            raise AppError("Type the new name of the voice first.")
        rename_voice(self.studio.layout, action.text("value"), new)
        return {self.message: note_html(f"Renamed to {new}.")}

    def _delete(self, action: PanelAction, search: str | None = None) -> Updates:
        delete_voice(self.studio.layout, action.text("value"))
        return {self.message: note_html(f"{action.text('value')} is in the trash.")}

    def _restore(self, action: PanelAction, search: str | None = None) -> Updates:
        voice = restore_voice(self.studio.layout, action.text("value"))
        return {self.message: note_html(f"{voice.name} restored.")}

    def _export(self, action: PanelAction, search: str | None = None) -> Updates:
        path = export_voice(self.studio.layout, action.text("value"), self.studio.layout.exports)
        return {self.message: render("voice_export.html", name=path.name)}


def gallery_html(
    layout: ProjectPaths, deleted: Sequence[tuple[str, str]], search: str = ""
) -> Markup:
    """Render the voices.  deleted: (id, name) of those in the trash;  search: words, "" for all."""
    voices = [voice for voice in list_voices(layout) if voice.name != MICROPHONE_VOICE]
    found = search_voices(voices, search)
    count = format_count(len(voices), "voice")
    return render(
        "voice_gallery.html",
        cards=[_make_card(layout, voice) for voice in found],
        count=f"{len(found)} of {count}" if search else count,
        tags=list_tags(voices),
        search=search,
        deleted=deleted,
    )


def _make_card(layout: ProjectPaths, voice: Voice) -> VoiceCard:
    return VoiceCard(
        name=voice.name,
        initial=voice.name[:1].upper(),
        hue=sum(map(ord, voice.name)) % HUES * (360 // HUES),
        clips=len(voice.clips),
        url=get_file_url(layout, voice.clips[0]) if voice.clips else "",
        has_consent=voice.consent is not None,
        tags=voice.tags,
        effects=format_chain(to_chain(read_voice_effects(voice.folder))),
    )
