"""The catalogue of causes: for each way to fail, what happened, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DOCTOR_COMMAND = ".venv/bin/testudo doctor"
SETUP_COMMAND = "./start.sh --no-launch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """One way to fail. fix: the one command that mends it, where there is one."""

    title: str
    why: str
    what_to_do: str
    fix: str = ""


def _make_error_info(title: str, why: str, what_to_do: str, fix: str = "") -> ErrorInfo:
    return ErrorInfo(title=title, why=why, what_to_do=what_to_do, fix=fix)


ERROR_CATALOG: Mapping[str, ErrorInfo] = MappingProxyType(
    {
        # how a job can end
        "refused": _make_error_info(
            "That cannot be done as asked",
            "Something in the request does not fit.",
            "The message says what; change it and try again.",
        ),
        "crashed": _make_error_info(
            "A mistake in Testudo",
            "Something happened that its makers did not think of. It is not your fault.",
            "Try once more. If it happens again, copy the details and report them.",
        ),
        "cancelled": _make_error_info(
            "Stopped",
            "You pressed Stop, or closed the program.",
            "Takes that were finished are kept. Resume goes on where it stopped.",
        ),
        "interrupted": _make_error_info(
            "The studio was closed while this was running",
            "The program ended, or the machine went to sleep or restarted.",
            "Press Resume: it goes on at the next unspoken line.",
        ),
        "worker_died": _make_error_info(
            "The process that speaks ended by itself",
            "Most often the system took its memory away; a faulty driver can do it too.",
            "Press Resume. If it happens again, turn on Low VRAM, lower Samples or close other "
            "programs.",
        ),
        "busy": _make_error_info(
            "Another Testudo is using this folder",
            "Two studios cannot write the same list of jobs at once.",
            "Close the other one, or start this one in another folder (TESTUDO_ROOT).",
        ),
        "journal_damaged": _make_error_info(
            "The list of jobs is damaged",
            "The file state/journal.sqlite cannot be read; a full disk or a power cut can do that.",
            "Move the folder state away: clips and voices are not in it and stay as they are.",
            "mv state state.damaged",
        ),
        # memory
        "out_of_memory": _make_error_info(
            "The memory of the GPU is full",
            "The networks and the drafts did not fit beside what else uses the GPU.",
            "Turn on Low VRAM, lower Sample Batch Size, close other programs, or choose the "
            "processor as Device.",
            ".venv/bin/testudo settings set low_vram true",
        ),
        "out_of_host_memory": _make_error_info(
            "The memory of this machine is full",
            "The networks, the drafts and other programs need more than there is.",
            "Lower Samples and Sample Batch Size, split the text, or close other programs.",
        ),
        # disk
        "no_disk": _make_error_info(
            "The disk is full",
            "There was no room for the file; nothing half-written is left behind.",
            "Free some space, or choose another results or models folder in Settings.",
        ),
        "disk_failing": _make_error_info(
            "The disk could not read or write",
            "The system reported an input/output error: a loose cable, or a disk that is dying.",
            "Save what matters to another disk, and choose a folder there in Settings.",
        ),
        "permission": _make_error_info(
            "This user may not write or read there",
            "The file or folder belongs to somebody else.",
            "Choose a folder of your own in Settings, or give yourself the right.",
            'sudo chown -R "$USER" voices results models state',
        ),
        "read_only_folder": _make_error_info(
            "The folder can only be read",
            "Its disk is mounted for reading only, as images and some network disks are.",
            "Choose another folder in Settings, or start with TESTUDO_ROOT=/some/folder.",
        ),
        "name_too_long": _make_error_info(
            "The name is too long for this disk",
            "File systems take names of up to 255 bytes, some of fewer.",
            "Choose a shorter name.",
        ),
        "too_many_files": _make_error_info(
            "Too many files are open",
            "The system lets each program open only so many at once.",
            "Close other programs, or raise the limit before starting.",
            "ulimit -n 4096",
        ),
        "missing_file": _make_error_info(
            "The file is not there",
            "It was moved, renamed or deleted since the page saw it.",
            "Reload the page, or name another file.",
        ),
        # hardware and installation
        "wrong_cuda_build": _make_error_info(
            "This torch was not built for this GPU",
            "The installed torch has no code for the card: the card is newer or older than the "
            "build, or the build is for another kind of GPU.",
            "Install the build that PyTorch's Get Started page names for your card, or choose the "
            "processor as Device.",
            "TESTUDO_TORCH_INDEX=<address from the Get Started page> ./setup-cuda.sh",
        ),
        "old_driver": _make_error_info(
            "The graphics driver is missing or too old",
            "torch found no NVIDIA driver that is new enough for it.",
            "Install the newest driver and restart, or choose the processor as Device.",
            ".venv/bin/testudo settings set device cpu",
        ),
        "no_device": _make_error_info(
            "That device is not here",
            "The Device in the settings or on the command line is none that torch can see.",
            "Set Device to auto.",
            ".venv/bin/testudo settings set device auto",
        ),
        "gpu_lost": _make_error_info(
            "The GPU stopped working",
            "The driver reported an error; overheating, overclocking and driver faults do that.",
            "Press Resume. If it happens again, restart the machine or choose the processor.",
        ),
        "torch_broken": _make_error_info(
            "torch cannot be loaded",
            "It is missing or damaged, or one of the libraries that it needs is.",
            "Install it again.",
            f"rm -rf .venv && {SETUP_COMMAND}",
        ),
        "torch_pair": _make_error_info(
            "torch and torchaudio do not belong together",
            "They are one pair and were installed in different versions.",
            "Install both again.",
            f"rm -rf .venv && {SETUP_COMMAND}",
        ),
        "missing_package": _make_error_info(
            "A package is missing",
            "requirements.txt names it, but it is not installed (or was removed).",
            "Bring the environment up to date.",
            f"rm -f .venv/testudo-stamp && {SETUP_COMMAND}",
        ),
        "missing_ffmpeg": _make_error_info(
            "This format needs ffmpeg",
            "Testudo reads wav, flac, ogg, opus and mp3 itself; for others it asks ffmpeg, which "
            "is not installed.",
            "Install ffmpeg, or convert the file to wav.",
            "sudo apt install ffmpeg",
        ),
        # the network
        "offline": _make_error_info(
            "Only local models are allowed",
            "Only Load Models Locally is on (or HF_HUB_OFFLINE is set), so nothing is fetched.",
            "Turn it off in Settings, or take over files that are already here: "
            "testudo models import FOLDER.",
            ".venv/bin/testudo settings set offline false",
        ),
        "hub_unreachable": _make_error_info(
            "The place of the weights cannot be reached",
            "There is no network, a firewall is in the way, or the place is down.",
            "Check the network and try again: a download goes on from what has arrived.",
            ".venv/bin/testudo models download tortoise",
        ),
        "download_broke": _make_error_info(
            "The connection broke during the download",
            "What has arrived is kept.",
            "Start the download again; it goes on from there.",
            ".venv/bin/testudo models download tortoise",
        ),
        "not_published": _make_error_info(
            "The file is no longer published",
            "The place that had it does not have it any more, or has another file under its name.",
            "Take a copy that you trust: testudo models import FOLDER.",
        ),
        "wrong_hash": _make_error_info(
            "The file is not the one that was published or written",
            "Its checksum is another: it was cut short, changed, or is something else.",
            "Fetch it again.",
            ".venv/bin/testudo models download tortoise",
        ),
        # weights
        "missing_weights": _make_error_info(
            "There are no such weights",
            "The models folder has no bundle of that name, or not all of it.",
            "Choose a model that is there, or download the published weights.",
            ".venv/bin/testudo models download tortoise",
        ),
        "incomplete_weights": _make_error_info(
            "The weights are not complete",
            "A file of the bundle is missing: a copy or a download was not finished.",
            "Download it again, or restore the starter.",
            "git checkout -- models/starter",
        ),
        "corrupt_weights": _make_error_info(
            "The weights are damaged",
            "A file of the bundle cannot be read or holds something else than weights.",
            "Download it again, or restore the starter.",
            "git checkout -- models/starter",
        ),
        "bundle_incompatible": _make_error_info(
            "These weights do not fit what was asked",
            "They lack the part that was asked for, belong to other files, or were made for "
            "another version.",
            "Choose another model, or do without that part.",
        ),
        "bad_latents": _make_error_info(
            "The stored voice cannot be used",
            "Its latents are damaged or were not written by Testudo.",
            "Import the voice from clips instead.",
        ),
        # voices and clips
        "missing_voice": _make_error_info(
            "There is no such voice",
            "Each folder under voices/ is a voice; none has that name.",
            "Choose a voice from the list, or put clips into a new folder under voices/.",
            ".venv/bin/testudo voices",
        ),
        "voice_without_clips": _make_error_info(
            "The voice has no clips",
            "Its folder holds no sound file that can be heard.",
            "Put one or more recordings of 3 to 10 seconds into it.",
        ),
        "bad_clip": _make_error_info(
            "The clip cannot be read as sound",
            "It is damaged, or no sound file.",
            "Export it again as wav, or leave it out.",
        ),
        "clip_too_short": _make_error_info(
            "The clip is too short",
            "A voice cannot be heard in so little sound.",
            "Join it with another clip, or leave it out. 3 to 10 seconds are best.",
        ),
        "clip_too_long": _make_error_info(
            "The clip is too long",
            "It would not fit into the memory, or take minutes to read.",
            "Cut it into shorter clips.",
        ),
        "silent_clip": _make_error_info(
            "The clip is silent",
            "Nothing in it is loud enough to be heard.",
            "Record it louder, check the microphone, or leave it out.",
        ),
        "unsupported_format": _make_error_info(
            "That format is not supported",
            "Clips are written as wav, flac, ogg, opus or mp3.",
            "Choose one of these.",
        ),
        "no_record": _make_error_info(
            "The file carries no settings of ours",
            "It was not spoken by Testudo, or a program has removed what was inside.",
            "Use a clip as it lies in the results folder, or its .json file.",
        ),
        # texts and settings
        "empty_text": _make_error_info(
            "There is no text", "Nothing was given to speak.", "Write some words."
        ),
        "unspeakable": _make_error_info(
            "There is nothing to speak in the text",
            "It has no letter or digit that the model has a sound for.",
            "Write it in letters.",
        ),
        "text_too_long": _make_error_info(
            "The text is too long",
            "So much is not spoken in one go.",
            "Split it into chapters, or let it be split at sentence ends.",
        ),
        "not_finite": _make_error_info(
            "The model answered with numbers that are none",
            "Half precision can do that on some GPUs; damaged weights too.",
            "Turn Half Precision off. If that does not help, verify the weights in Settings.",
            ".venv/bin/testudo models verify",
        ),
        "bad_request": _make_error_info(
            "A value does not fit",
            "One of the values is of the wrong kind, out of range, or unknown.",
            "The message names it and what is allowed.",
        ),
        "bad_name": _make_error_info(
            "That cannot be a name",
            "Names become folders, so they may not hold / \\ : * ? or begin with a dot.",
            "Choose another name.",
        ),
        "name_taken": _make_error_info(
            "That name is taken",
            "Nothing is ever overwritten.",
            "Choose another name, or delete the old one first.",
        ),
        "bad_settings": _make_error_info(
            "The settings file has a mistake",
            "settings.yaml holds a line that cannot be used. It is never overwritten by itself.",
            "Correct the line, or set the file aside and begin with the defaults.",
            "mv settings.yaml settings.yaml.old",
        ),
        # the door
        "port_taken": _make_error_info(
            "The port is taken",
            "Another program, perhaps another Testudo, already listens there.",
            "Close it, or listen on another port.",
            "./start.sh --listen 127.0.0.1:7861",
        ),
        "bad_address": _make_error_info(
            "This machine does not have that address",
            "Listen names an address that belongs to another machine.",
            "Use 127.0.0.1 for this machine only, or 0.0.0.0 for all of its addresses.",
            ".venv/bin/testudo settings set listen 127.0.0.1:7860",
        ),
        "login_needed": _make_error_info(
            "A login is needed",
            "The studio can be reached from other machines, so it asks who you are.",
            "Use the name and password that were printed when it started.",
        ),
        "upload_too_large": _make_error_info(
            "The file is too large",
            "Uploads are limited so that nobody can fill the disk.",
            "Cut it, or copy it into the folder of the voice instead.",
        ),
    }
)
