"""Every error a user can meet, with the exit code the command line returns for it."""

from __future__ import annotations


class LexisegError(Exception):
    """Base of all errors meant for the user: expected what, came what, where, how to fix it."""

    exit_code = 1


class UsageError(LexisegError):
    """An option, a configuration value or an argument is not possible."""

    exit_code = 2


class DataError(LexisegError):
    """A data set, image, mask or report sheet cannot be used."""

    exit_code = 3


class RunError(LexisegError):
    """A run folder is missing, incomplete, in use, or was written by a newer version."""

    exit_code = 4


class WeightsError(LexisegError):
    """Weights, a text encoder or a published checkpoint cannot be found or do not fit."""

    exit_code = 5


class DiskError(LexisegError):
    """There is no space, or no permission, to write a file."""

    exit_code = 6


class PartialFailureError(LexisegError):
    """A batch was finished, but some of its items failed; each failure was reported on its own."""

    exit_code = 1
