"""Snapshots that read as what they are: one file a case, with the ending of its kind."""

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode


class TextFile(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    file_extension = "txt"


class HtmlFile(TextFile):
    file_extension = "html"


class JsonFile(TextFile):
    file_extension = "json"
