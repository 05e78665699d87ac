"""Archives of MovieLens: GroupLens's zip, downloaded and checked or already here, or its unpacked folder."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from tfrec_zoo.errors import DataError

BASE_ADDRESS = "https://files.grouplens.org/datasets/movielens/"

_CHUNK = 2**20
_TIMEOUT_S = 30.0


@dataclasses.dataclass(frozen=True)
class Archive:
    """Files of one variant, wherever they are.

    Attributes:
        path: The zip or the folder.
        encoding: Of its text files.
    """

    path: Path
    encoding: str

    def check(self, names: Sequence[str], variant: str) -> None:
        """Checks that the archive is whole and has the files of a variant.

        Raises:
            DataError: It is neither a zip nor a folder, or files are missing.
        """
        missing = [name for name in names if not self._places(name)]
        if missing:
            raise DataError(
                f"{self.path} is not MovieLens {variant}: it has no {', '.join(missing)}. Is it another --variant?"
            )

    @contextlib.contextmanager
    def lines(self, name: str) -> Iterator[Iterator[str]]:
        """Lines of one file, without their ends.

        Raises:
            DataError: The file is damaged or not of the encoding.
        """
        place = self._places(name)[0]
        try:
            with contextlib.ExitStack() as stack:
                binary: IO[bytes]
                if self.path.is_dir():
                    binary = stack.enter_context(open(place, "rb"))
                else:
                    binary = stack.enter_context(stack.enter_context(zipfile.ZipFile(self.path)).open(place))
                text = stack.enter_context(io.TextIOWrapper(binary, self.encoding, newline=None))
                yield (line.removesuffix("\n") for line in text)
        except (OSError, EOFError, zipfile.BadZipFile, UnicodeDecodeError) as error:
            raise DataError(f"{name} in {self.path} cannot be read: {error}. Download the archive again.") from error

    def _places(self, name: str) -> list[str]:
        if self.path.is_dir():  # the folder itself, or the one around it
            return [str(path) for path in (self.path / name, *self.path.glob(f"*/{name}")) if path.is_file()]
        try:
            with zipfile.ZipFile(self.path) as archive:
                return [member for member in archive.namelist() if member.rsplit("/", 1)[-1] == name]
        except FileNotFoundError:
            raise DataError(f"{self.path} does not exist. --source takes the archive or its unpacked folder.") from None
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.path} is neither a zip archive nor a folder: {error}.") from error


@contextlib.contextmanager
def downloaded(name: str, md5: str, folder: Path, base_address: str, progress: Callable[[str], None]) -> Iterator[Path]:
    """Downloads an archive and checks it; the file is gone afterwards.

    Args:
        name: File name below the base address.
        md5: Hex digest that GroupLens publishes.
        folder: Where the file is kept meanwhile.
        base_address: Ends in a slash.
        progress: Told every tenth.

    Raises:
        DataError: The address cannot be reached, or what came is not the archive.
    """
    address, temporary = base_address + name, folder / f".{os.getpid()}.{name}"
    try:
        found = _download(address, temporary, progress)
        if found != md5:
            raise DataError(
                f"{address} has the MD5 {found}, GroupLens publishes {md5}: the download is damaged or not theirs. Run "
                "again, or download it yourself and pass --source FILE."
            )
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def md5_of(path: Path) -> str:
    """Hex MD5 of a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(address: str, path: Path, progress: Callable[[str], None]) -> str:
    digest, done, told = hashlib.md5(usedforsecurity=False), 0, 0
    progress(f"downloading {address}")
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response, path.open("wb") as file:
            size = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
                done += len(chunk)
                if size and done * 10 // size > told:
                    told = done * 10 // size
                    progress(f"{done / 2**20:,.1f} of {size / 2**20:,.1f} MiB")
    except OSError as error:  # URLError, HTTPError and time-outs are among them
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{address} cannot be downloaded: {reason}. Download it on a machine with a network and pass --source FILE."
        ) from error
    return digest.hexdigest()
