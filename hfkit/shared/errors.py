"""The errors a user can meet.

HfkitError                 every error with a sentence for a person
├── InputError             the data that came in
│   ├── MissingFile        a source names a file that is not there
│   ├── UnknownFormat      a source names a format hfkit does not read
│   ├── MissingColumn      a mapping or a table names a column that is not there
│   ├── BadValue           a value that makes the whole table unusable (a score outside 0..1)
│   ├── NothingLeft        no usable row after cleaning
│   └── OneClass           labels of one class only, nothing to learn or compare
├── ParamError             params.yaml against a notebook's parameters cell
├── StageError             a stage that cannot run: its input is not made yet, disk full
└── WouldOverwrite         a command would overwrite or delete files that it did not write

Every error says what was expected, what was found, where, and what to do next.
"""

from __future__ import annotations


class HfkitError(Exception):
    """An error whose message is written for the person who meets it.

    >>> print(MissingFile(expected="data/raw/a.csv", found="no such file", where="params.yaml: clean.sources[0]",
    ...                   todo="copy the export there or correct the path"))
    MissingFile: expected data/raw/a.csv, found no such file.
      where: params.yaml: clean.sources[0]
      to do: copy the export there or correct the path
    """

    def __init__(self, *, expected: str, found: str, where: str, todo: str) -> None:
        self.expected, self.found, self.where, self.todo = expected, found, where, todo
        super().__init__(expected, found, where, todo)

    def __str__(self) -> str:
        """Two or three printable lines; control characters of the input are shown escaped."""
        text = (
            f"{type(self).__name__}: expected {self.expected}, found {self.found}.\n"
            f"  where: {self.where}\n  to do: {self.todo}"
        )
        return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class InputError(HfkitError):
    """The data that came in cannot be used."""


class MissingFile(InputError):
    """A source names a file that is not there."""


class UnknownFormat(InputError):
    """A source names a format that hfkit does not read, or the file is not of its format."""


class MissingColumn(InputError):
    """A mapping or a table names a column that is not there."""


class BadValue(InputError):
    """A value that makes the whole table unusable."""


class NothingLeft(InputError):
    """No usable row is left."""


class OneClass(InputError):
    """Labels of one class only: nothing to learn from, nothing to compare."""


class ParamError(HfkitError):
    """params.yaml does not fit a notebook's parameters cell."""


class StageError(HfkitError):
    """A stage cannot run here and now."""


class WouldOverwrite(HfkitError):
    """A command would overwrite or delete files that it did not write."""
