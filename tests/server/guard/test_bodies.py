# SPDX-License-Identifier: Apache-2.0
"""The boundary that is counted is the one by which a form is taken apart."""

import pytest

from medvol.server.guard.bodies import Counter, boundary_of


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=aaa", b"--aaa"),
        ("Multipart/Form-Data;boundary=aaa", b"--aaa"),
        ('multipart/related; type="application/dicom"; boundary="a;b,c"', b"--a;b,c"),
        ('multipart/form-data; boundary=aaa; x="; boundary=zzz"', b"--aaa"),
        ('multipart/form-data; x="; boundary=zzz"; boundary=aaa', b"--aaa"),
        ('multipart/form-data; boundary="a\\"b"', b'--a"b'),
        ("multipart/form-data", b""),
        ("application/json; boundary=aaa", b""),
        ("", b""),
    ],
)
def test_the_boundary_is_that_of_the_reader(header: str, boundary: bytes) -> None:
    scope = {"headers": [(b"content-type", header.encode("latin-1"))]}
    assert boundary_of(scope) == boundary


def test_parts_behind_a_second_boundary_are_counted() -> None:
    header = b'multipart/form-data; boundary=aaa; x="; boundary=zzz"'
    counter = Counter(1 << 20, boundary_of({"headers": [(b"content-type", header)]}), 2)
    counter.take(b"--aaa\r\n\r\n1\r\n" * 4)
    assert counter.refusal is not None
