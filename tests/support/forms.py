# SPDX-License-Identifier: Apache-2.0
"""A form that a server answered with, taken apart by Python's own reader of mail."""

from email import message_from_bytes
from email.policy import HTTP
from typing import Any


def parts_of(answer: Any) -> tuple[dict[str, str], dict[str, bytes]]:
    """Fields and files of a multipart answer, by their names."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in message_from_bytes(head + answer.content, policy=HTTP).iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if name := part.get_filename():
            files[name] = content
        else:
            fields[str(part.get_param("name", header="content-disposition"))] = content.decode()
    return fields, files
