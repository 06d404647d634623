"""The files of a run. They are the whole state: there is no database."""
