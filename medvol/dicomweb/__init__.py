# SPDX-License-Identifier: Apache-2.0
"""An archive that speaks DICOMweb: what it holds, images out of it, results into it."""

from typing import TYPE_CHECKING

from ..errors import require

if TYPE_CHECKING:
    from .address import Address
    from .client import Archive


def open_archive(address: "Address | str") -> "Archive":
    """The archive at an address, with the credentials that the environment or a file has for it.

    Args:
        address: of the archive, or of a study or series in it.

    Raises:
        ImportError: what the extra `dicomweb` installs is missing.
        InputError: E_ARCHIVE, the address or the credentials cannot be used.
    """
    require("dicomweb_client", feature="an archive", install="medvol[dicomweb]")
    from .client import Archive  # here: it takes a while

    return Archive(address)
